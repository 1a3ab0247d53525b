//! Settings of who may ask. Passwords and tokens have no flags: everybody on a machine can read command lines.

use egret_http::Secret;

use super::super::names;
use super::super::values::{boolean, path, put};
use super::{BOOLEAN, Original, Setting};

const FILE: &str = "a file";
const SECRET: &str = "a secret";

fn show_secret(secret: Option<&Secret>) -> String {
    secret.map_or_else(String::new, |_| Secret::MASK.to_owned())
}

pub(super) static AUTH: &[Setting] = &[
    Setting {
        key: "auth.enabled",
        flag: "auth-enabled",
        takes: BOOLEAN,
        meaning: "Whether each request must bring the user and the password, or the token. Needs one of the two.",
        set: |s, text| put(&mut s.auth.enabled, boolean(text)),
        show: |s| s.auth.enabled.to_string(),
        originals: &[Original {
            path: "seatunnel.engine.http.enable-basic-auth",
            set: |s, text| put(&mut s.auth.enabled, boolean(text)),
        }],
    },
    Setting {
        key: "auth.user",
        flag: "auth-user",
        takes: "a name",
        meaning: "Name of the user (HTTP basic authentication).",
        set: |s, text| put(&mut s.auth.user, names::user(text)),
        show: |s| s.auth.user.to_string(),
        originals: &[Original {
            path: "seatunnel.engine.http.basic-auth-username",
            set: |s, text| put(&mut s.auth.user, names::user(text)),
        }],
    },
    Setting {
        key: "auth.password",
        flag: "",
        takes: SECRET,
        meaning: "Password of the user; better in a file or in the environment variable EGRET_AUTH_PASSWORD.",
        set: |s, text| put(&mut s.auth.password, names::secret(text).map(Some)),
        show: |s| show_secret(s.auth.password.as_ref()),
        originals: &[Original {
            path: "seatunnel.engine.http.basic-auth-password",
            set: |s, text| put(&mut s.auth.password, names::secret(text).map(Some)),
        }],
    },
    Setting {
        key: "auth.password_file",
        flag: "auth-password-file",
        takes: FILE,
        meaning: "File with the password; the end of its line does not count.",
        set: |s, text| put(&mut s.auth.password_file, path(text, FILE)),
        show: |s| s.auth.password_file.as_ref().map_or_else(String::new, |file| file.display().to_string()),
        originals: &[],
    },
    Setting {
        key: "auth.token",
        flag: "",
        takes: SECRET,
        meaning: "Bearer token that is as good as the password; better in a file or in the environment variable \
                  EGRET_AUTH_TOKEN.",
        set: |s, text| put(&mut s.auth.token, names::token(text).map(Some)),
        show: |s| show_secret(s.auth.token.as_ref()),
        originals: &[],
    },
    Setting {
        key: "auth.token_file",
        flag: "auth-token-file",
        takes: FILE,
        meaning: "File with the token; the end of its line does not count.",
        set: |s, text| put(&mut s.auth.token_file, path(text, FILE)),
        show: |s| s.auth.token_file.as_ref().map_or_else(String::new, |file| file.display().to_string()),
        originals: &[],
    },
];
