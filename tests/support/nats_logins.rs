//! What a NATS server asks of its clients, made for a test.

/// A certificate that is its own authority, and its key.
pub(crate) fn certificate(names: &[&str]) -> (String, String) {
    let names: Vec<_> = names.iter().map(ToString::to_string).collect();
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    (made.cert.pem(), made.signing_key.serialize_pem())
}

/// A server's configuration and a `.creds` file that it lets in.
pub(crate) fn credentials() -> (String, String) {
    let [operator, account, user] = [
        nkeys::KeyPair::new_operator(),
        nkeys::KeyPair::new_account(),
        nkeys::KeyPair::new_user(),
    ];
    let operator_claims = claims(&operator, &operator, "operator");
    let account_claims = claims(&operator, &account, "account");
    let user_claims = claims(&account, &user, "user");
    let creds = format!(
        "-----BEGIN NATS USER JWT-----\n{user_claims}\n------END NATS USER JWT------\n\n-----BEGIN USER NKEY SEED-----\n{}\n------END USER NKEY SEED------\n",
        user.seed().unwrap()
    );
    let server = format!(
        "operator: \"{operator_claims}\"\nresolver: MEMORY\nresolver_preload: {{ {}: \"{account_claims}\" }}",
        account.public_key()
    );
    (server, creds)
}

/// A NATS JWT: who signs, about whom, as what.
fn claims(issuer: &nkeys::KeyPair, subject: &nkeys::KeyPair, kind: &str) -> String {
    let unlimited = serde_json::json!({
        "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true,
        "conn": -1, "leaf": -1,
    });
    let nats = match kind {
        "account" => serde_json::json!({ "type": kind, "version": 2, "limits": unlimited }),
        "user" => serde_json::json!({
            "type": kind, "version": 2, "pub": {}, "sub": {}, "subs": -1, "data": -1, "payload": -1,
        }),
        _ => serde_json::json!({ "type": kind, "version": 2 }),
    };
    let body = serde_json::json!({
        "jti": "x", "iat": 1_700_000_000, "iss": issuer.public_key(), "name": kind,
        "sub": subject.public_key(), "nats": nats,
    });
    let part = |text: &str| data_encoding::BASE64URL_NOPAD.encode(text.as_bytes());
    let signed = format!(
        "{}.{}",
        part(r#"{"typ":"JWT","alg":"ed25519-nkey"}"#),
        part(&body.to_string())
    );
    let signature = issuer.sign(signed.as_bytes()).unwrap();
    format!(
        "{signed}.{}",
        data_encoding::BASE64URL_NOPAD.encode(&signature)
    )
}
