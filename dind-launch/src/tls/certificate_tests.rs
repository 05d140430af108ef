//! What others have made: openssl's keys in each of their forms, and docker:dind's certificates.

use super::*;
use std::fs;

/// Made by docker:dind's commands of openssl, with a longer life.
const DIND: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cases/18-tls-of-docker-dind/root/certs");

fn file(name: &str) -> Vec<u8> {
    fs::read(format!("{DIND}/{name}")).unwrap()
}

#[test]
fn certificates_of_docker_dind_are_understood() {
    let read = |name| Certificate::parse(&file(name)).unwrap();
    let (ca, server, client) = (read("ca/cert.pem"), read("server/cert.pem"), read("client/cert.pem"));
    assert_eq!(
        (ca.common_name.as_str(), server.common_name.as_str()),
        ("docker:dind CA", "docker:dind server")
    );
    assert!(ca.signs && server.is_signed_by(&ca) && client.is_signed_by(&ca) && !ca.is_signed_by(&server));
    assert!(server.for_server && !server.for_client && client.for_client);
    let names: Vec<_> = server.names.iter().map(Name::to_string).collect();
    assert!(
        names.contains(&"DNS:docker".to_owned()) && names.contains(&"IP:127.0.0.1".to_owned()),
        "{names:?}"
    );
    for (certificate, key) in [(&ca, "ca/key.pem"), (&server, "server/key.pem"), (&client, "client/key.pem")]
    {
        assert!(certificate.is_of(&parse_key(&file(key)).unwrap()), "{key}");
    }
}

#[test]
fn older_forms_of_keys_are_the_same_keys() {
    // PKCS#8 ends with an octet string, and that is the older form.
    let rsa = Pem::iter_from_buffer(&file("ca/key.pem")).next().unwrap().unwrap().contents;
    let older = &rsa[26..];
    let key = of_forms(forms("RSA PRIVATE KEY", older.to_vec()).unwrap()).unwrap();
    assert!(Certificate::parse(&file("ca/cert.pem")).unwrap().is_of(&key));
    for (algorithm, length) in
        [(&rcgen::PKCS_ECDSA_P256_SHA256, 0x6d), (&rcgen::PKCS_ECDSA_P384_SHA384, 0x9e)]
    {
        let new = KeyPair::generate_for(algorithm).unwrap();
        let older = &new.serialized_der()[new.serialized_der().len() - length..];
        let key = of_forms(forms("EC PRIVATE KEY", older.to_vec()).unwrap()).unwrap();
        assert_eq!(key.subject_public_key_info(), new.subject_public_key_info());
    }
}

#[test]
fn what_is_no_certificate_and_no_key_is_said_to_be_none() {
    for text in ["", "hello", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        assert!(Certificate::parse(text.as_bytes()).is_err(), "{text}");
        assert!(parse_key(text.as_bytes()).is_err(), "{text}");
    }
    let key = |label: &str| format!("-----BEGIN {label}-----\nAAAA\n-----END {label}-----\n");
    let error = |label: &str| parse_key(key(label).as_bytes()).unwrap_err();
    assert!(error("ENCRYPTED PRIVATE KEY").contains("encrypted"));
    assert!(error("PRIVATE KEY").contains("P-384"));
    // Parameters may come first.
    let text = format!("{}{}", key("EC PARAMETERS"), String::from_utf8(file("ca/key.pem")).unwrap());
    assert!(parse_key(text.as_bytes()).is_ok());
    // No bytes panic.
    let der = Pem::iter_from_buffer(&file("server/cert.pem")).next().unwrap().unwrap().contents;
    for length in 0..der.len() {
        assert!(Certificate::of(der[..length].to_vec()).is_err(), "{length}");
    }
}
