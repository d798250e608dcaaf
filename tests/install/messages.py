"""Every message that the table of docs/operations.md quotes must be in the programs' sources.

    python3 messages.py docs/operations.md
"""
import pathlib
import re
import sys

source = ""
for folder in ("thrumd/src", "thrum-ctl/src", "thrum-api/src"):
    for path in sorted(pathlib.Path(folder).rglob("*.rs")):
        source += path.read_text()
# A text that goes on in the next line.
source = re.sub(r"\\\n\s*", "", source)
table = pathlib.Path(sys.argv[1]).read_text().split("## Troubleshooting by message")[1]
quoted = re.findall(r"^\| `([^`]+)` \|", table, re.MULTILINE)
assert len(quoted) > 10, quoted
missing = [part.strip() for text in quoted for part in text.split("...")
           if len(part.strip()) > 3 and part.strip() not in source]
for part in missing:
    print(f"{sys.argv[1]} quotes a message that no program has: {part!r}", file=sys.stderr)
sys.exit(bool(missing))
