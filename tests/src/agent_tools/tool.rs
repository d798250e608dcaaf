use std::fs;
use std::path::Path;

use serde_json::json;

/// A tool in which an agent works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tool {
    /// Claude Code.
    ClaudeCode,
    /// Codex CLI.
    Codex,
    /// Gemini CLI.
    Gemini,
    /// Copilot CLI.
    Copilot,
    /// OpenCode.
    Opencode,
}

impl Tool {
    /// Its name in `thrum init`.
    pub fn name(self) -> &'static str {
        match self {
            Self::ClaudeCode => "claude-code",
            other => other.program(),
        }
    }

    /// Its program, and the end of its agents' names.
    pub fn program(self) -> &'static str {
        match self {
            Self::ClaudeCode => "claude",
            Self::Codex => "codex",
            Self::Gemini => "gemini",
            Self::Copilot => "copilot",
            Self::Opencode => "opencode",
        }
    }

    /// The role under which the model is shown what a hook adds to a prompt.
    pub fn role_at_prompt(self) -> &'static str {
        match self {
            Self::ClaudeCode => "system",
            Self::Codex => "developer",
            Self::Gemini | Self::Copilot | Self::Opencode => "user",
        }
    }

    /// The role under which the model is shown what a hook adds between two steps.
    pub fn role_at_step(self) -> &'static str {
        match self {
            Self::ClaudeCode => "system",
            Self::Codex => "developer",
            Self::Gemini | Self::Copilot | Self::Opencode => "tool",
        }
    }

    /// The words that let it answer one prompt and end.
    pub(super) fn words_for(self, prompt: &str) -> Vec<String> {
        let words: &[&str] = match self {
            Self::ClaudeCode => &["-p", prompt, "--model", "fake-model"],
            // A person reviews the hooks in the terminal; that is remembered by what they hash to.
            Self::Codex => &["exec", "--json", "--dangerously-bypass-hook-trust", prompt],
            Self::Gemini => &["-p", prompt, "-m", "gemini-2.5-flash", "--approval-mode", "yolo"],
            Self::Copilot => &["-p", prompt, "--allow-all-tools"],
            Self::Opencode => &["run", prompt],
        };
        words.iter().map(|&word| word.to_owned()).collect()
    }

    /// The words that open it in a terminal with a first prompt, and with more words.
    pub(super) fn words_in_terminal(self, more: &[&str], prompt: &str) -> Vec<String> {
        let words: &[&str] = match self {
            Self::ClaudeCode => &["--model", "fake-model"],
            Self::Codex => &["--dangerously-bypass-hook-trust"],
            Self::Gemini => &["-m", "gemini-2.5-flash", "--approval-mode", "yolo", "-i"],
            Self::Copilot => &["--allow-all-tools", "-i"],
            Self::Opencode => &["--prompt"],
        };
        more.iter().chain(words).chain([&prompt]).map(|&word| word.to_owned()).collect()
    }

    /// What sends it to this model, and to nobody else.
    pub(super) fn env(self, model: &str) -> Vec<(&'static str, String)> {
        let own = |text: &str| text.to_owned();
        match self {
            Self::ClaudeCode => vec![
                ("ANTHROPIC_BASE_URL", own(model)),
                ("ANTHROPIC_API_KEY", own(KEY)),
                ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", own("1")),
                // Root may do without permission prompts only in a sandbox, which a sealed test is.
                ("IS_SANDBOX", own("1")),
            ],
            Self::Codex => vec![("FAKE_KEY", own(KEY))],
            Self::Gemini => vec![
                ("GOOGLE_GEMINI_BASE_URL", own(model)),
                ("GEMINI_API_KEY", own(KEY)),
                ("GEMINI_CLI_TRUST_WORKSPACE", own("true")),
            ],
            Self::Copilot => vec![
                ("COPILOT_OFFLINE", own("true")),
                ("COPILOT_AUTO_UPDATE", own("false")),
                ("COPILOT_PROVIDER_TYPE", own("openai")),
                ("COPILOT_PROVIDER_BASE_URL", format!("{model}/v1")),
                ("COPILOT_PROVIDER_API_KEY", own(KEY)),
                ("COPILOT_MODEL", own("fake-model")),
            ],
            Self::Opencode => vec![
                ("OPENCODE_DISABLE_MODELS_FETCH", own("1")),
                ("OPENCODE_DISABLE_AUTOUPDATE", own("1")),
                ("OPENCODE_DISABLE_LSP_DOWNLOAD", own("1")),
            ],
        }
    }

    /// Does in this home what a person has done before: logged in, chosen the model, and trusted the
    /// project with what it brings.
    pub(super) fn settle(self, home: &Path, project: &Path, model: &str) {
        let folder = project.display().to_string();
        match self {
            Self::ClaudeCode => {
                let tail = &KEY[KEY.len() - 20..];
                let settings = json!({
                    "hasCompletedOnboarding": true, "theme": "dark",
                    "customApiKeyResponses": {"approved": [tail], "rejected": []},
                    "projects": {folder: {"hasTrustDialogAccepted": true}},
                });
                put(home, ".claude.json", &settings.to_string());
                let approved = json!({
                    "enabledMcpjsonServers": ["thrum"], "skipDangerousModePermissionPrompt": true,
                });
                put(home, ".claude/settings.json", &approved.to_string());
            }
            Self::Codex => put(home, ".codex/config.toml", &codex(model, &folder)),
            Self::Gemini => {
                let settings = json!({
                    "security": {"auth": {"selectedType": "gemini-api-key"}},
                    "privacy": {"usageStatisticsEnabled": false},
                });
                put(home, ".gemini/settings.json", &settings.to_string());
            }
            Self::Copilot => {}
            Self::Opencode => {
                let settings = json!({
                    "model": "fake/fake-model", "small_model": "fake/fake-model",
                    "autoupdate": false, "share": "disabled",
                    "provider": {"fake": {
                        "npm": "@ai-sdk/openai-compatible", "name": "fake",
                        "options": {"baseURL": format!("{model}/v1"), "apiKey": KEY},
                        "models": {"fake-model": {
                            "name": "fake", "limit": {"context": 100_000, "output": 4000},
                        }},
                    }},
                });
                put(home, ".config/opencode/opencode.json", &settings.to_string());
            }
        }
    }
}

/// No account has it.
const KEY: &str = "dummy-key-that-opens-nothing";

fn codex(model: &str, folder: &str) -> String {
    format!(
        r#"model = "fake-model"
model_provider = "fake"

[model_providers.fake]
name = "fake"
base_url = "{model}/v1"
env_key = "FAKE_KEY"
wire_api = "responses"

[projects."{folder}"]
trust_level = "trusted"
"#
    )
}

fn put(home: &Path, name: &str, text: &str) {
    let path = home.join(name);
    fs::create_dir_all(path.parent().expect("a folder")).unwrap();
    fs::write(path, text).unwrap();
}
