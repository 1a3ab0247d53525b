//! https, with a certificate of the test's own.

use std::io::Write;
use std::sync::Arc;

use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::server::{Channel, Server, json};
use super::{read, source_problems};

/// A server for 127.0.0.1 with TLS, and the file with its certificate.
fn secure() -> (Server, tempfile::NamedTempFile) {
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".into()]).expect("a certificate");
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(made.cert.pem().as_bytes()).expect("written");
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key.into())
        .expect("a server");
    let config = Arc::new(config);
    let server = Server::start_with(
        |number, _| json(&format!("[{{\"a\":{number}}}]")),
        move |socket| {
            let session = ServerConnection::new(Arc::clone(&config)).ok()?;
            Some(Box::new(StreamOwned::new(session, socket)) as Box<dyn Channel>)
        },
    );
    (server, file)
}

fn config(server: &Server, rest: &str) -> String {
    format!(r#"url = "https://{}/", format = json, schema {{ fields {{ a = int }} }}, {rest}"#, server.address)
}

#[test]
fn pages_are_read_over_tls_from_a_server_that_a_file_vouches_for() {
    let (server, file) = secure();
    let ca = format!(r#"ssl_ca_file = "{}", pageing {{ total_page_size = 3 }}"#, file.path().display());
    assert_eq!(read(&config(&server, &ca)).expect("rows"), ["0", "1", "2"]);
    assert!(server.asked().iter().all(|asked| asked.connection == 0), "the connection was not kept");
}

#[test]
fn a_server_that_nobody_vouches_for_is_refused() {
    let (server, _) = secure();
    let (_other, file) = secure();
    let ca = format!(r#"ssl_ca_file = "{}""#, file.path().display());
    let error = read(&config(&server, &ca)).expect_err("not trusted").to_string();
    assert!(error.contains("certificate"), "{error}");
    assert!(server.asked().is_empty());
}

#[test]
fn a_file_that_cannot_vouch_is_told_when_the_job_is_planned() {
    let problems = source_problems(r#"url = "https://h/", ssl_ca_file = "/nowhere/ca.pem""#);
    assert!(
        problems.iter().any(|line| line.contains("ssl_ca_file") && line.contains("/nowhere/ca.pem")),
        "{problems:?}"
    );
}
