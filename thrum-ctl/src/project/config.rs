//! The origin in a git configuration.

/// `url` of `[remote "origin"]` in a git configuration.
pub fn origin_url(config: &str) -> Option<String> {
    let mut in_origin = false;
    let mut rest = config;
    while !rest.is_empty() {
        let (line, next) = rest.split_once('\n').unwrap_or((rest, ""));
        let mut here = rest;
        if line.trim_start().starts_with('[') {
            let (header, tail) = line.split_once(']').unwrap_or((line, ""));
            in_origin = header.replace(char::is_whitespace, "") == "[remote\"origin\"";
            // git allows a value on the same line.
            here = rest.get(line.len() - tail.len()..).unwrap_or_default();
        }
        if in_origin
            && let Some((key, after)) = here.split_once('=')
            && key.trim().eq_ignore_ascii_case("url")
        {
            return Some(value(after)).filter(|url| !url.is_empty());
        }
        rest = next;
    }
    None
}

/// The value at the beginning of the text, up to the end of its line or a comment, without quotes and
/// escapes.
fn value(text: &str) -> String {
    let (mut value, mut quoted) = (String::new(), false);
    // Spaces are kept back, because trailing ones are dropped.
    let mut blanks = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        let c = match c {
            '\n' => break,
            '#' | ';' if !quoted => break,
            '"' => {
                quoted = !quoted;
                continue;
            }
            '\\' => match chars.next() {
                None => break,
                Some('\n') => continue,
                Some('t') => '\t',
                Some('n') => '\n',
                Some(c) => c,
            },
            c if c.is_whitespace() && !quoted => {
                blanks.push(c);
                continue;
            }
            c => c,
        };
        if !value.is_empty() {
            value.push_str(&blanks);
        }
        blanks.clear();
        value.push(c);
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_read_as_git_reads_it() {
        for (written, read) in [
            ("git@h:a/b.git # mine", "git@h:a/b.git"),
            ("git@h:a/b.git ; mine", "git@h:a/b.git"),
            ("git@h:a/b.git#mine", "git@h:a/b.git"),
            ("\"git@h:a/b;c\" # mine", "git@h:a/b;c"),
            ("git@h:\"a b\"/c", "git@h:a b/c"),
            (r"git@h:a\\b\tc", "git@h:a\\b\tc"),
            ("git@h:a/\\\nb.git", "git@h:a/b.git"),
        ] {
            let config = format!("[remote \"origin\"] # home\n\turl = {written}\n");
            assert_eq!(origin_url(&config).as_deref(), Some(read), "{written}");
        }
        let oneline = "[remote \"origin\"] url = git@h:a/b\n";
        assert_eq!(origin_url(oneline).as_deref(), Some("git@h:a/b"));
    }

    #[test]
    fn only_the_remote_named_origin_counts() {
        let config = "[core]\n\turl = no\n[remote \"fork\"]\n\turl = f\n\
                      [remote \"origin\"]\n\tfetch = +x\n\tURL = \"o\"\n[branch \"main\"]\n";
        assert_eq!(origin_url(config).as_deref(), Some("o"));
        assert_eq!(origin_url("[remote \"fork\"]\nurl = f\n"), None);
    }
}
