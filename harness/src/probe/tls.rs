//! Whom a `wss://` gateway's certificate is held against.

use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use sha2::{Digest as _, Sha256};

/// Whom to trust.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trust {
    /// Whom this machine trusts.
    System,
    /// These certificates, in PEM, and no others.
    Only(Vec<u8>),
    /// The one certificate with this SHA-256, whoever issued it and whatever name it has.
    Pinned([u8; 32]),
}

/// Why nobody can be trusted.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// No root certificates.
    #[error(
        "this machine has no root certificates ({0}); give the gateway's with --ca FILE, or pin it with --fingerprint"
    )]
    NoRoots(String),
    /// Not PEM.
    #[error("the file of --ca holds no certificate in PEM")]
    NoCertificate,
    /// Not a fingerprint.
    #[error("a fingerprint is a SHA-256 in hex, 64 digits, with or without colons")]
    Fingerprint,
    /// The library refused.
    #[error("TLS cannot be set up: {0}")]
    Setup(String),
}

/// Reads a fingerprint: hex, with or without colons, with or without `sha256:` before it.
///
/// # Errors
/// [`TrustError::Fingerprint`]
pub fn fingerprint(text: &str) -> Result<[u8; 32], TrustError> {
    let lower = text.trim().to_ascii_lowercase();
    let bare = lower.strip_prefix("sha256:").or_else(|| lower.strip_prefix("sha-256:")).unwrap_or(&lower);
    let digits: String = bare.chars().filter(|c| *c != ':').collect();
    let mut bytes = [0; 32];
    hex::decode_to_slice(digits, &mut bytes).map_err(|_| TrustError::Fingerprint)?;
    Ok(bytes)
}

/// SHA-256 of a certificate in DER.
#[must_use]
pub fn digest(certificate: &[u8]) -> [u8; 32] {
    Sha256::digest(certificate).into()
}

/// A fingerprint as people compare it.
#[must_use]
pub fn shown(fingerprint: &[u8; 32]) -> String {
    fingerprint.map(|byte| format!("{byte:02X}")).join(":")
}

/// The last certificate that a gateway showed, and what was made of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Certificate {
    /// SHA-256 of it.
    pub fingerprint: Option<[u8; 32]>,
    /// Why it is not trusted.
    pub refused: Option<String>,
}

/// A client's side of TLS that remembers what it was shown.
#[derive(Debug)]
pub struct Side {
    /// For tokio-rustls.
    pub config: Arc<ClientConfig>,
    judge: Arc<Judge>,
}

impl Side {
    /// A side that trusts so.
    ///
    /// # Errors
    /// [`TrustError`]
    pub fn new(trust: &Trust) -> Result<Self, TrustError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let setup = |error: &dyn std::fmt::Display| TrustError::Setup(error.to_string());
        let rule = match trust {
            Trust::Pinned(pin) => Rule::Pinned(*pin),
            Trust::System | Trust::Only(_) => {
                let (roots, given) = roots(trust)?;
                let verifier =
                    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
                        .build();
                Rule::Roots { verifier: verifier.map_err(|error| setup(&error))?, given }
            }
        };
        let judge = Arc::new(Judge { rule, provider: Arc::clone(&provider), shown: Mutex::default() });
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| setup(&error))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::clone(&judge) as Arc<dyn ServerCertVerifier>)
            .with_no_client_auth();
        Ok(Self { config: Arc::new(config), judge })
    }

    /// What was shown last.
    #[must_use]
    pub fn certificate(&self) -> Certificate {
        self.judge.shown.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The roots, and the certificates that were given as such.
fn roots(trust: &Trust) -> Result<(RootCertStore, Vec<CertificateDer<'static>>), TrustError> {
    let mut store = RootCertStore::empty();
    if let Trust::Only(pem) = trust {
        let given: Vec<_> = CertificateDer::pem_slice_iter(pem).flatten().collect();
        for certificate in &given {
            store.add(certificate.clone()).map_err(|_| TrustError::NoCertificate)?;
        }
        return if given.is_empty() { Err(TrustError::NoCertificate) } else { Ok((store, given)) };
    }
    let found = rustls_native_certs::load_native_certs();
    // Single certificates that no parser takes are common in system bundles, and harmless.
    store.add_parsable_certificates(found.certs);
    if store.is_empty() {
        let why = found.errors.first().map_or_else(|| "none were found".to_owned(), ToString::to_string);
        return Err(TrustError::NoRoots(why));
    }
    Ok((store, Vec::new()))
}

#[derive(Debug)]
enum Rule {
    Roots { verifier: Arc<WebPkiServerVerifier>, given: Vec<CertificateDer<'static>> },
    Pinned([u8; 32]),
}

/// Judges as told, and keeps what it saw, so that a person can be told which certificate it was.
#[derive(Debug)]
struct Judge {
    rule: Rule,
    provider: Arc<CryptoProvider>,
    shown: Mutex<Certificate>,
}

impl ServerCertVerifier for Judge {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let fingerprint = digest(end_entity.as_ref());
        let verdict = match &self.rule {
            // `openssl req -x509` makes a certificate that says it is a CA's; no verifier takes that for a server's, and whoever gave
            // this very one means it.
            Rule::Roots { given, .. } if given.iter().any(|given| given.as_ref() == end_entity.as_ref()) => {
                ParsedCertificate::try_from(end_entity)
                    .and_then(|parsed| verify_server_name(&parsed, server_name))
                    .map(|()| ServerCertVerified::assertion())
            }
            Rule::Roots { verifier, .. } => {
                verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
            }
            Rule::Pinned(pin) if *pin == fingerprint => Ok(ServerCertVerified::assertion()),
            Rule::Pinned(_) => {
                Err(rustls::Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure))
            }
        };
        let refused = verdict.as_ref().err().map(|error| self.words(error));
        *self.shown.lock().unwrap_or_else(PoisonError::into_inner) =
            Certificate { fingerprint: Some(fingerprint), refused };
        verdict
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(
            message,
            certificate,
            signature,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

impl Judge {
    fn words(&self, error: &rustls::Error) -> String {
        if matches!(self.rule, Rule::Pinned(_)) {
            return "it is another one than the pinned one".to_owned();
        }
        match error {
            rustls::Error::InvalidCertificate(error) => match error {
                CertificateError::UnknownIssuer => {
                    "nobody whom this machine trusts issued it (self-signed?)".to_owned()
                }
                CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                    "it has expired".to_owned()
                }
                CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                    "it is not valid yet; is the clock right?".to_owned()
                }
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                    "it is for another name than the URL's".to_owned()
                }
                other if format!("{other:?}").contains("CaUsedAsEndEntity") => {
                    "it was issued by itself, and is nobody's whom this machine trusts".to_owned()
                }
                other => format!("{other}"),
            },
            other => other.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_are_read_as_people_have_them() {
        let bare = "ab".repeat(32);
        let colons = ["AB"; 32].join(":");
        for text in [bare.clone(), colons.clone(), format!("sha256:{colons}"), format!(" SHA-256:{bare}\n")] {
            assert_eq!(fingerprint(&text).unwrap(), [0xab; 32], "{text}");
        }
        assert_eq!(shown(&[0xab; 32]), colons);
        for text in ["", "ab", &"zz".repeat(32), &"ab".repeat(33)] {
            assert!(fingerprint(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_file_without_certificate_is_none_to_trust() {
        assert!(matches!(Side::new(&Trust::Only(b"nope".to_vec())), Err(TrustError::NoCertificate)));
        assert!(Side::new(&Trust::Pinned([0; 32])).is_ok());
    }
}
