//! OpenCode's plugin, as OpenCode calls it: what a hook answers counts as read, and is shown.

use std::fs;
use std::process::{Command, Stdio};

/// What a run of the plugin printed last: the calls of `thrum`, and what its script says. None without Node.
fn run(script: &str) -> Option<serde_json::Value> {
    if Command::new("node").arg("--version").stdout(Stdio::null()).status().is_err() {
        assert!(std::env::var_os("CI").is_none(), "Node runs the plugin");
        eprintln!("skipped: there is no node");
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    let plugin = include_str!("../../../thrum-ctl/src/setup/tools/opencode_plugin.ts");
    // This Node may not read types yet.
    let plugin = [
        "<string, Promise<string>>",
        ", type ChildProcess",
        ": ChildProcess | undefined",
        "<string, string>",
        "<string>",
        ": string",
        ": object",
        ": Buffer",
        ": any",
    ]
    .iter()
    .fold(plugin.to_owned(), |plugin, of_type| plugin.replace(of_type, ""));
    fs::write(folder.path().join("plugin.mjs"), plugin).unwrap();
    let thrum = "#!/bin/sh\n[ \"$3\" = listen ] && { echo x >>listened; read -r line; kill -9 $$; }\n\
                 cat >/dev/null\necho \"$3\" >>ran\necho '{\"text\": \"from '$3'\"}'\n";
    tests::harness::write_script(&folder.path().join("thrum"), thrum);
    let script = format!(
        "import {{ readFileSync }} from 'node:fs'\n\
         let refusals = 0\n\
         const asked = []\n\
         const client = {{ session: {{ promptAsync: async (it) => {{\n\
           if (refusals-- > 0) return {{ error: 'busy' }}\n\
           asked.push(it.body.parts[0].text)\n\
           return {{}}\n\
         }} }} }}\n\
         const lines = (name) => {{ try {{ return readFileSync(name, 'utf8').trim().split('\\n') }} catch {{ return [] }} }}\n\
         const {{ Thrum }} = await import('./plugin.mjs')\n\
         const plugin = await Thrum({{ client, directory: process.cwd() }})\n\
         const say = (type, properties) => plugin.event({{ event: {{ type, properties }} }})\n\
         {script}\nprocess.exit(0)\n"
    );
    fs::write(folder.path().join("script.mjs"), script).unwrap();
    let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap());
    let output = Command::new("node")
        .arg("script.mjs")
        .current_dir(folder.path())
        .env("PATH", path)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let (said, wrong) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let last = said.lines().last().unwrap_or_else(|| panic!("{wrong}"));
    Some(serde_json::from_str(last).unwrap_or_else(|_| panic!("{said}\n{wrong}")))
}

#[test]
fn a_hook_runs_only_where_its_text_has_a_place() {
    let told = run("await plugin['chat.message']({ sessionID: 's' }, { parts: [{ type: 'file' }] })
        await plugin['tool.execute.after']({ sessionID: 's', tool: 'x' }, { output: 7 })
        await plugin['tool.execute.after']({ sessionID: 's', tool: 'x' }, undefined)
        const nowhere = lines('ran')
        const prompt = { parts: [{ type: 'text', text: 'typed' }, { type: 'file' }] }
        await plugin['chat.message']({ sessionID: 's' }, prompt)
        const steps = [{ output: 'ran' }, { content: [] }]
        for (const step of steps) await plugin['tool.execute.after']({ sessionID: 's', tool: 'x' }, step)
        console.log(JSON.stringify([nowhere, prompt.parts[0].text, steps[0].output, steps[1].content[0].text]))");
    let Some(told) = told else { return };
    let expected = serde_json::json!([
        ["session-start"],
        "typed\n\nfrom prompt",
        "ran\n\nfrom step",
        "from step"
    ]);
    assert_eq!(told, expected);
}

#[test]
fn a_text_that_opencode_does_not_take_is_shown_at_the_next_prompt() {
    let told = run("await say('session.created', { info: { id: 's' } })
        refusals = 1
        await say('session.idle', { sessionID: 's' })
        refusals = 2
        await say('session.idle', { sessionID: 's' })
        const prompts = ['one', 'two'].map((text) => ({ parts: [{ type: 'text', text }] }))
        for (const prompt of prompts) await plugin['chat.message']({ sessionID: 's' }, prompt)
        console.log(JSON.stringify([asked, ...prompts.map((prompt) => prompt.parts[0].text)]))");
    let Some(told) = told else { return };
    let expected =
        serde_json::json!([["from stop"], "one\n\nfrom stop\n\nfrom prompt", "two\n\nfrom prompt"]);
    assert_eq!(told, expected);
}

#[test]
fn a_listener_that_dies_is_started_again() {
    // Time goes faster: the pause is one of seconds.
    let told = run("const timeout = globalThis.setTimeout
        globalThis.setTimeout = (what, ms) => timeout(what, ms > 5000 ? ms / 500 : ms)
        await say('session.created', { info: { id: 's' } })
        for (let n = 0; n < 1000 && lines('listened').length < 3; n++) await new Promise((done) => timeout(done, 20))
        console.log(JSON.stringify(lines('listened').length >= 3))");
    let Some(told) = told else { return };
    assert_eq!(told, true);
}

#[test]
fn without_the_program_nothing_is_left_behind() {
    let told = run("process.env.PATH = '/nowhere'
        const kept = new Set()
        const timeout = globalThis.setTimeout, clear = globalThis.clearTimeout
        globalThis.setTimeout = (...it) => { const id = timeout(...it); kept.add(id); return id }
        globalThis.clearTimeout = (id) => { kept.delete(id); clear(id) }
        await say('session.created', { info: { id: 's' } })
        console.log(JSON.stringify(kept.size))");
    let Some(told) = told else { return };
    assert_eq!(told, 0);
}
