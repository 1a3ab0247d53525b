//! Who may ask, as it is set, and where its secrets come from.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use egret_http::{AuthSettings, Secret};

use super::origin::Origin;
use super::{Read, names, table};

/// Largest file with a secret.
const SECRET_BYTES_MAX: u64 = 4 << 10;

/// Who may ask, as it is set.
#[derive(Clone, Debug)]
pub struct Auth {
    /// Whether requests must say who asks.
    pub enabled: bool,
    /// Name of the user. Default `admin`, as the original has it.
    pub user: Arc<str>,
    /// Password of the user, wherever it comes from.
    pub password: Option<Secret>,
    /// File with the password.
    pub password_file: Option<PathBuf>,
    /// The token, wherever it comes from.
    pub token: Option<Secret>,
    /// File with the token.
    pub token_file: Option<PathBuf>,
}

impl Default for Auth {
    fn default() -> Self {
        Self {
            enabled: false,
            user: "admin".into(),
            password: None,
            password_file: None,
            token: None,
            token_file: None,
        }
    }
}

impl Auth {
    /// For the server.
    pub fn settings(&self) -> AuthSettings {
        if !self.enabled {
            return AuthSettings::default();
        }
        AuthSettings {
            user: self.password.clone().map(|password| (self.user.clone(), password)),
            token: self.token.clone(),
        }
    }
}

/// A secret and the places that it may come from.
struct Place {
    key: &'static str,
    file_key: &'static str,
    variable: &'static str,
    check: fn(&str) -> Result<Secret, String>,
    secret: fn(&mut Auth) -> &mut Option<Secret>,
    file: fn(&Auth) -> Option<&PathBuf>,
}

const PLACES: [Place; 2] = [
    Place {
        key: "auth.password",
        file_key: "auth.password_file",
        variable: "EGRET_AUTH_PASSWORD",
        check: names::secret,
        secret: |auth| &mut auth.password,
        file: |auth| auth.password_file.as_ref(),
    },
    Place {
        key: "auth.token",
        file_key: "auth.token_file",
        variable: "EGRET_AUTH_TOKEN",
        check: names::token,
        secret: |auth| &mut auth.token,
        file: |auth| auth.token_file.as_ref(),
    },
];

impl Read {
    /// Takes secrets from the environment and from the files that are named, and judges the whole.
    pub(super) fn find_secrets(&mut self, environment: impl Fn(&str) -> Option<String>) {
        for place in &PLACES {
            if let Some(value) = environment(place.variable).filter(|value| !value.is_empty()) {
                self.take_secret(place, (place.check)(&value), Origin::Environment(place.variable));
            }
            self.read_secret_file(place);
        }
        if !self.failed.iter().any(|key| key.starts_with("auth.")) {
            self.judge_auth();
        }
    }

    fn read_secret_file(&mut self, place: &Place) {
        let Some(path) = (place.file)(&self.settings.auth).cloned() else { return };
        let (own, file) = (self.origins.of(place.key).rank(), self.origins.of(place.file_key).rank());
        if own > file {
            return;
        }
        if own == file {
            let (first, second) = (self.in_words(place.key), self.in_words(place.file_key));
            self.problems.push(format!("error: {first} and {second}: give one of them"));
            return;
        }
        let origin = self.origins.of(place.file_key).clone();
        let secret = text_of(&path).and_then(|text| (place.check)(&text));
        self.take_secret(place, secret.map_err(|problem| format!("{}: {problem}", path.display())), origin);
    }

    fn take_secret(&mut self, place: &Place, secret: Result<Secret, String>, origin: Origin) {
        match (secret, table::find(place.key)) {
            (Ok(secret), Some(setting)) => {
                *(place.secret)(&mut self.settings.auth) = Some(secret);
                self.origins.note(setting, origin);
            }
            (Ok(_), None) => {}
            (Err(problem), _) => {
                self.failed.insert(place.key);
                self.problems.push(format!("error: '{}' ({origin}): {problem}", place.key));
            }
        }
    }

    fn judge_auth(&mut self) {
        let auth = &self.settings.auth;
        if auth.enabled && auth.password.is_none() && auth.token.is_none() {
            let enabled = self.in_words("auth.enabled");
            self.problems.push(format!(
                "error: {enabled}, and there is no password: give auth.password_file, $EGRET_AUTH_PASSWORD or \
                 auth.password, or a token; there is none by default, because everybody would know it"
            ));
        }
        if *self.origins.of("auth.enabled") != Origin::Default {
            return;
        }
        for place in &PLACES {
            // In the original a password alone switches nothing on.
            let by_original = matches!(self.origins.of(place.key), Origin::File { original: Some(_), .. });
            if (place.secret)(&mut self.settings.auth).is_some() && !by_original {
                let origin = self.origins.of(place.key);
                self.problems.push(format!(
                    "error: '{}' is given ({origin}), and nothing says whether it is asked for: set auth.enabled to true \
                     or false",
                    place.key
                ));
            }
        }
    }
}

/// The line of a file.
fn text_of(path: &Path) -> Result<String, String> {
    let size = std::fs::metadata(path).map_err(|error| error.to_string())?.len();
    if size > SECRET_BYTES_MAX {
        return Err(format!("it has {size} bytes; {SECRET_BYTES_MAX} are allowed"));
    }
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    Ok(line.strip_suffix('\r').unwrap_or(line).to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::{SettingFlags, file};
    use super::*;

    fn read(text: &str, environment: &[(&str, &str)]) -> Result<Read, String> {
        let mut read = Read::default();
        file::read_text(text, "egret.yaml", &mut read);
        read.flags(&SettingFlags::default());
        read.find_secrets(|name| {
            environment.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        });
        read.finish().map_err(|error| error.to_string())
    }

    fn password(read: &Read) -> &str {
        read.settings.auth.password.as_ref().expect("a password").reveal()
    }

    #[test]
    fn a_password_comes_from_the_file_of_settings_or_a_file_of_its_own_or_the_environment() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("password");
        std::fs::write(&file, "from a file \r\n").expect("written");
        let with_file = format!("auth: {{enabled: true, password_file: '{}'}}", file.display());
        let read_file = read(&with_file, &[]).expect("valid");
        assert_eq!(password(&read_file), "from a file ");
        assert_eq!(read_file.origins.of("auth.password").to_string(), "egret.yaml:1");
        // The environment wins over what a file says.
        let variable = ("EGRET_AUTH_PASSWORD", "from outside");
        for text in [&*with_file, "auth: {enabled: true, password: plain}", "auth: {enabled: true}"] {
            let read = read(text, &[variable]).expect("valid");
            assert_eq!(password(&read), "from outside");
            assert_eq!(read.origins.of("auth.password").to_string(), "$EGRET_AUTH_PASSWORD");
        }
        let read = read(
            "seatunnel: {engine: {http: {enable-basic-auth: true, basic-auth-username: me, basic-auth-password: x}}}",
            &[],
        );
        let settings = read.expect("valid").settings.auth.settings();
        assert_eq!(settings.user, Some(("me".into(), Secret::new("x"))));
    }

    #[test]
    fn half_a_protection_is_refused() {
        type Case = (&'static str, &'static [(&'static str, &'static str)], &'static str);
        let cases: &[Case] = &[
            ("auth: {enabled: true}", &[], "'auth.enabled' is true (egret.yaml:1), and there is no password"),
            (
                "seatunnel: {engine: {http: {enable-basic-auth: true}}}",
                &[],
                "enable-basic-auth), and there is no password",
            ),
            ("auth: {password: x}", &[], "'auth.password' is given (egret.yaml:1), and nothing says whether"),
            ("", &[("EGRET_AUTH_TOKEN", "x")], "'auth.token' is given ($EGRET_AUTH_TOKEN)"),
            ("auth: {enabled: true, password: x, password_file: y}", &[], "give one of them"),
            ("auth: {enabled: true, password_file: /nowhere/at/all}", &[], "/nowhere/at/all: No such file"),
            ("auth: {enabled: true, user: 'a:b', password: x}", &[], "expected a name without colons"),
            ("auth: {enabled: true, token: 'a b'}", &[], "expected letters"),
            ("auth: {enabled: true, password: \"a\\nb\"}", &[], "control characters"),
        ];
        for (text, environment, expected) in cases {
            let told = read(text, environment).map(|_| ()).expect_err(text);
            assert!(told.contains(expected), "{text}: {told}");
        }
        read("auth: {enabled: false, password: x}", &[]).expect("said to be off");
        let original =
            read("seatunnel: {engine: {http: {basic-auth-password: x}}}", &[]).expect("off, as in the original");
        assert!(!original.settings.auth.settings().is_on());
    }

    #[test]
    fn secrets_are_never_shown() {
        let text = "auth: {enabled: true, password: hidden, password_file: y, token: hid den}";
        let told = read(text, &[("EGRET_AUTH_TOKEN", "hid\nden")]).map(|_| ()).expect_err("wrong");
        assert!(!told.contains("hidden") && !told.contains("hid"), "{told}");
        let read = read("auth: {enabled: true, password: hidden, token: hidden}", &[]).expect("valid");
        let shown: String = table::all().map(|setting| (setting.show)(&read.settings)).collect();
        assert!(!shown.contains("hidden") && !format!("{:?}", read.settings).contains("hidden"));
        assert_eq!(shown.matches(Secret::MASK).count(), 2);
    }
}
