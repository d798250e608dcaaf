//! The inbox socket of a session of Claude Code. A line from a child of the session, which this server is, is delivered; one
//! from another process may be held until a person has looked at it.

use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::PathBuf;
use std::time::Duration;

use rustix::process::geteuid;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tokio::net::UnixStream;
use tokio::time::timeout;

/// In the environment of Claude Code's MCP servers.
const SOCKET: &str = "CLAUDE_CODE_MESSAGING_SOCKET";
const TOKEN: &str = "CLAUDE_CODE_MESSAGING_TOKEN";
/// Limit for all of it.
const LIMIT: Duration = Duration::from_secs(2);

/// The inbox of a session.
#[derive(Debug, Clone)]
pub struct Inbox {
    socket: PathBuf,
    /// Its type never prints it.
    token: Option<SecretString>,
}

impl Inbox {
    /// That of the session whose child this is.
    ///
    /// # Errors
    /// When there is none: an older version, or it is switched off.
    pub fn of_environment() -> Result<Self, String> {
        let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        let socket = variable(SOCKET).map(PathBuf::from).ok_or_else(|| {
            format!("Claude Code has no {SOCKET}: this version, or its settings, have no inbox for sessions")
        })?;
        let token = variable(TOKEN).and_then(|token| token.into_string().ok());
        Ok(Self { socket, token: token.map(SecretString::from) })
    }

    /// Writes a message. No answer comes.
    ///
    /// # Errors
    /// When the socket is gone, hangs or belongs to another user.
    pub async fn write(&self, text: &str) -> Result<(), String> {
        let written = timeout(LIMIT, self.try_write(text)).await;
        let written = written.unwrap_or_else(|_| Err("it hangs".to_owned()));
        written.map_err(|why| format!("the session's socket {}: {why}", self.socket.display()))
    }

    async fn try_write(&self, text: &str) -> Result<(), String> {
        let own = geteuid().as_raw();
        // Of what stands there, and of who answers: the path may lie in a folder that others can write to.
        let stands = std::fs::metadata(&self.socket).map_err(|error| error.to_string())?;
        if !stands.file_type().is_socket() {
            return Err("it is no socket".to_owned());
        }
        let mut stream =
            UnixStream::connect(&self.socket).await.map_err(|error| error.to_string())?;
        let answers = stream.peer_cred().map_err(|error| error.to_string())?;
        if stands.uid() != own || answers.uid() != own {
            return Err("it belongs to another user".to_owned());
        }
        let mut lines = String::new();
        if let Some(token) = &self.token {
            lines.push_str(&json!({"type": "auth", "token": token.expose_secret()}).to_string());
            lines.push('\n');
        }
        let message = json!({"type": "user", "message": {"role": "user", "content": text}});
        lines.push_str(&message.to_string());
        lines.push('\n');
        let write = async {
            stream.write_all(lines.as_bytes()).await?;
            stream.shutdown().await
        };
        write.await.map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;
    use tokio::net::UnixListener;

    use super::*;

    fn inbox(socket: PathBuf, token: Option<&str>) -> Inbox {
        Inbox { socket, token: token.map(SecretString::from) }
    }

    #[tokio::test]
    async fn a_line_is_written_after_the_token() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let listener = UnixListener::bind(&path).unwrap();
        for (token, expected) in
            [(Some("t\"1"), "{\"token\":\"t\\\"1\",\"type\":\"auth\"}\n"), (None, "")]
        {
            let inbox = inbox(path.clone(), token);
            assert!(!format!("{inbox:?}").contains("t\\\"1"));
            let (written, read) = tokio::join!(inbox.write("[thrum] x\ny"), async {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut read = String::new();
                stream.read_to_string(&mut read).await.unwrap();
                read
            });
            written.unwrap();
            let message = "{\"message\":{\"content\":\"[thrum] x\\ny\",\"role\":\"user\"},\"type\":\"user\"}\n";
            assert_eq!(read, format!("{expected}{message}"));
        }
    }

    #[tokio::test]
    async fn a_socket_that_is_gone_or_none_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let gone = folder.path().join("gone");
        let error = inbox(gone.clone(), Some("secret")).write("x").await.unwrap_err();
        assert!(error.contains("gone") && !error.contains("secret"), "{error}");
        std::fs::write(&gone, "").unwrap();
        let error = inbox(gone.clone(), None).write("x").await.unwrap_err();
        assert!(error.contains("no socket"), "{error}");
        std::fs::remove_file(&gone).unwrap();
        drop(UnixListener::bind(&gone).unwrap());
        inbox(gone, None).write("x").await.unwrap_err();
    }

    #[tokio::test]
    async fn a_socket_of_another_user_is_not_written_to() {
        if !geteuid().is_root() {
            eprintln!("skipped: only root can give a socket away");
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let listener = UnixListener::bind(&path).unwrap();
        std::os::unix::fs::chown(&path, Some(65534), None).unwrap();
        let error = inbox(path, Some("secret")).write("x").await.unwrap_err();
        assert!(error.contains("belongs to another user"), "{error}");
        let (mut stream, _) = listener.accept().await.unwrap();
        assert_eq!(stream.read_to_end(&mut Vec::new()).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn a_socket_that_hangs_is_given_up() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let _nobody_reads = UnixListener::bind(&path).unwrap();
        let large = "x".repeat(8 << 20);
        let error = inbox(path, None).write(&large).await.unwrap_err();
        assert!(error.contains("hangs"), "{error}");
    }
}
