//! A certificate for one session, signed by an authority that lives no longer than this call.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose,
};

/// What a server shows, and what its clients trust. All of it is PEM.
pub(crate) struct Certificate {
    /// The authority's certificate.
    pub(crate) ca: String,
    /// The server's certificate.
    pub(crate) server: String,
    /// The server's key.
    pub(crate) key: String,
}

impl Certificate {
    /// Makes a certificate for these host names and addresses. The authority's key is forgotten, so
    /// that nobody can sign a second one; for the same reason nothing needs to expire.
    ///
    /// # Errors
    /// When a name can't stand in a certificate.
    pub(crate) fn new(session: &str, names: &[String]) -> Result<Self, rcgen::Error> {
        let mut authority = CertificateParams::default();
        authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let name = format!("x-tracer session {session}");
        authority.distinguished_name.push(DnType::CommonName, name);
        let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?;

        let mut server = CertificateParams::new(names)?;
        server
            .distinguished_name
            .push(DnType::CommonName, "x-tracer's NATS server");
        server.use_authority_key_identifier_extension = true;
        server.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let key = KeyPair::generate()?;
        let certificate = server.signed_by(&key, &authority)?;
        Ok(Self {
            ca: authority.pem(),
            server: certificate.pem(),
            key: key.serialize_pem(),
        })
    }
}
