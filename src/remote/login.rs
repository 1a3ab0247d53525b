//! Who asks: a user with a password, or a bearer token. They come from files, the environment or the command line, and
//! are never printed.

use std::fmt;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use ureq::http::HeaderValue;

use super::api::ApiError;

/// The user that a node has where its settings do not say.
const USER: &str = "admin";

/// Who asks.
#[derive(Clone, Default, Args)]
pub struct Login {
    /// User of the node, where it asks who is there, like admin; the password comes from --password-file or
    /// $EGRET_PASSWORD. NAME:PASSWORD works, too, but others on this machine can read command lines
    #[arg(long, value_name = "NAME", env = "EGRET_USER", hide_env_values = true)]
    user: Option<String>,

    /// File with the password
    #[arg(long, value_name = "FILE", env = "EGRET_PASSWORD_FILE")]
    password_file: Option<PathBuf>,

    /// File with a bearer token, which goes before user and password; else $EGRET_TOKEN
    #[arg(long, value_name = "FILE", env = "EGRET_TOKEN_FILE")]
    token_file: Option<PathBuf>,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").finish_non_exhaustive()
    }
}

impl Login {
    /// The header that says who asks; `None` when nobody is named.
    ///
    /// # Errors
    /// When a file cannot be read, or a user has no password.
    pub fn header(&self) -> Result<Option<HeaderValue>, ApiError> {
        self.header_with(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
    }

    fn header_with(&self, environment: impl Fn(&str) -> Option<String>) -> Result<Option<HeaderValue>, ApiError> {
        let token = match &self.token_file {
            Some(file) => Some(line_of(file)?),
            None => environment("EGRET_TOKEN"),
        };
        if let Some(token) = token {
            return secret_value(&format!("Bearer {token}")).map(Some);
        }
        let (user, mut password) = match self.user.as_deref().map(|user| user.split_once(':').ok_or(user)) {
            Some(Ok((user, password))) => (Some(user), Some(password.to_owned())),
            Some(Err(user)) => (Some(user), None),
            None => (None, None),
        };
        if password.is_none()
            && let Some(file) = &self.password_file
        {
            password = Some(line_of(file)?);
        }
        let Some(password) = password.or_else(|| environment("EGRET_PASSWORD")) else {
            return match user {
                None => Ok(None),
                Some(_) => Err(ApiError::Here(
                    "a user is named without a password: give --password-file or set EGRET_PASSWORD".to_owned(),
                )),
            };
        };
        let login = format!("{}:{password}", user.unwrap_or(USER));
        secret_value(&format!("Basic {}", STANDARD.encode(login))).map(Some)
    }
}

/// A header's value that libraries do not log.
fn secret_value(text: &str) -> Result<HeaderValue, ApiError> {
    let mut value = HeaderValue::from_str(text)
        .map_err(|_| ApiError::Here("a token may only have letters, digits and signs of ASCII".to_owned()))?;
    value.set_sensitive(true);
    Ok(value)
}

/// A file of one line, without the end of it.
fn line_of(path: &Path) -> Result<String, ApiError> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| ApiError::Here(format!("cannot read the secret in {}: {error}", path.display())))?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    Ok(line.strip_suffix('\r').unwrap_or(line).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(login: &Login, environment: &[(&str, &str)]) -> Result<Option<String>, String> {
        let environment =
            |name: &str| environment.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        let header = login.header_with(environment).map_err(|error| error.to_string())?;
        Ok(header.map(|value| {
            assert!(value.is_sensitive());
            let text = value.to_str().expect("text").to_owned();
            match text.strip_prefix("Basic ") {
                Some(login) => String::from_utf8(STANDARD.decode(login).expect("base64")).expect("text"),
                None => text,
            }
        }))
    }

    #[test]
    fn a_login_comes_from_the_command_line_files_or_the_environment() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("secret");
        std::fs::write(&file, "pass word\n").expect("written");
        let user = |user: &str| Login { user: Some(user.to_owned()), ..Login::default() };
        let with = |text: &str| Ok(Some(text.to_owned()));
        assert_eq!(header(&Login::default(), &[]), Ok(None));
        assert_eq!(header(&user("me:a:b"), &[("EGRET_PASSWORD", "x")]), with("me:a:b"));
        assert_eq!(header(&user("me"), &[("EGRET_PASSWORD", "x")]), with("me:x"));
        assert_eq!(header(&Login::default(), &[("EGRET_PASSWORD", "x")]), with("admin:x"));
        let in_file = Login { password_file: Some(file.clone()), ..user("me") };
        assert_eq!(header(&in_file, &[("EGRET_PASSWORD", "x")]), with("me:pass word"));
        assert_eq!(header(&user("me:x"), &[("EGRET_TOKEN", "t")]), with("Bearer t"));
        assert!(header(&user("me"), &[]).is_err_and(|told| told.contains("EGRET_PASSWORD")));
        let nowhere = Login { token_file: Some("/nowhere/token".into()), ..Login::default() };
        assert!(header(&nowhere, &[]).is_err_and(|told| told.contains("/nowhere/token")));
        assert!(!format!("{:?}", user("me:hidden")).contains("hidden"));
    }
}
