//! Certificates of any shape, put together from their parts without the code under test.

use std::sync::LazyLock;

use kubecertd::pki::{Certificate, CertificateAuthority, PrivateKey};
use rcgen::{KeyPair, PublicKeyData as _, SigningKey as _};
use yasna::Tag;
use yasna::models::{ObjectIdentifier, TaggedDerValue};
use yasna::tags::{TAG_BMPSTRING, TAG_IA5STRING, TAG_PRINTABLESTRING, TAG_UTCTIME, TAG_UTF8STRING};

pub(crate) const SUBJECT_KEY_ID: &[u64] = &[2, 5, 29, 14];
pub(crate) const KEY_USAGE: &[u64] = &[2, 5, 29, 15];
pub(crate) const SUBJECT_ALT_NAME: &[u64] = &[2, 5, 29, 17];
pub(crate) const BASIC_CONSTRAINTS: &[u64] = &[2, 5, 29, 19];
pub(crate) const AUTHORITY_KEY_ID: &[u64] = &[2, 5, 29, 35];
pub(crate) const EXTENDED_KEY_USAGE: &[u64] = &[2, 5, 29, 37];

/// A key pair to build with, and the same for the code under test.
pub(crate) struct TestKey {
    pub(crate) pair: KeyPair,
}

impl TestKey {
    pub(crate) fn new(algorithm: &'static rcgen::SignatureAlgorithm) -> Self {
        Self {
            pair: KeyPair::generate_for(algorithm).unwrap(),
        }
    }

    pub(crate) fn private(&self) -> PrivateKey {
        PrivateKey::from_pem(self.pair.serialize_pem().as_bytes()).unwrap()
    }
}

/// An authority with its key in both forms.
pub(crate) struct TestAuthority {
    pub(crate) key: TestKey,
    pub(crate) signature_algorithm: Vec<u8>,
    pub(crate) subject: Vec<u8>,
    pub(crate) signing: CertificateAuthority,
}

impl TestAuthority {
    pub(crate) fn new(
        algorithm: &'static rcgen::SignatureAlgorithm,
        signature: &[u64],
        subject: &[Rdn],
        key_id: Option<&[u8]>,
    ) -> Self {
        let key = TestKey::new(algorithm);
        let signature_algorithm = yasna::construct_der(|writer| {
            writer.write_sequence(|writer| {
                writer.next().write_oid(&oid(signature));
                if algorithm == &rcgen::PKCS_RSA_SHA256 {
                    writer.next().write_null();
                }
            });
        });
        let subject = name(subject);
        let mut extensions = vec![extension(BASIC_CONSTRAINTS, true, &[0x30, 3, 1, 1, 0xff])];
        extensions.extend(key_id.map(|key_id| {
            let value = yasna::construct_der(|writer| writer.write_bytes(key_id));
            extension(SUBJECT_KEY_ID, false, &value)
        }));
        let der = sign(
            &subject,
            &subject,
            ("250101000000Z", "350101000000Z"),
            &key,
            &key,
            &signature_algorithm,
            &extensions,
        );
        let certificate = Certificate::from_der(&der).unwrap();
        let signing = CertificateAuthority::new(&[certificate], key.private()).unwrap();
        Self {
            key,
            signature_algorithm,
            subject,
            signing,
        }
    }
}

pub(crate) static AUTHORITIES: LazyLock<Vec<TestAuthority>> = LazyLock::new(|| {
    let attribute = |number: &[u64], string, value: &str| Attribute {
        number: number.to_vec(),
        string,
        value: value.to_owned(),
    };
    let common_name = |value| vec![attribute(&[2, 5, 4, 3], StringType::Printable, value)];
    let domain = |value| {
        vec![attribute(
            &[0, 9, 2342, 19_200_300, 100, 1, 25],
            StringType::Ia5,
            value,
        )]
    };
    let unit = |value| attribute(&[2, 5, 4, 11], StringType::Utf8, value);
    vec![
        TestAuthority::new(
            &rcgen::PKCS_ECDSA_P256_SHA256,
            &[1, 2, 840, 10045, 4, 3, 2],
            &[common_name("kubernetes")],
            Some(&[1; 20]),
        ),
        TestAuthority::new(
            &rcgen::PKCS_ECDSA_P384_SHA384,
            &[1, 2, 840, 10045, 4, 3, 3],
            &[
                domain("corp"),
                domain("example"),
                vec![unit("PKI"), unit("Kübernetes")],
                common_name("Issuing CA"),
            ],
            Some(&[7; 8]),
        ),
        TestAuthority::new(
            &rcgen::PKCS_RSA_SHA256,
            &[1, 2, 840, 113_549, 1, 1, 11],
            &[common_name("rsa")],
            None,
        ),
        TestAuthority::new(
            &rcgen::PKCS_ECDSA_P521_SHA512,
            &[1, 2, 840, 10045, 4, 3, 4],
            &[common_name("p521")],
            Some(&[9; 20]),
        ),
    ]
});

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum StringType {
    Printable,
    Utf8,
    Ia5,
    Bmp,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Attribute {
    pub(crate) number: Vec<u64>,
    pub(crate) string: StringType,
    pub(crate) value: String,
}

pub(crate) type Rdn = Vec<Attribute>;

/// A certificate to be.
#[derive(Debug, Clone)]
pub(crate) struct Leaf {
    pub(crate) subject: Vec<Rdn>,
    pub(crate) names: Vec<Vec<u8>>,
    pub(crate) key_usage: Option<u16>,
    pub(crate) usages: Vec<Vec<u64>>,
    pub(crate) basic_constraints: bool,
    pub(crate) subject_key_id: bool,
    pub(crate) authority_key_id: bool,
    /// Number below a private arc, critical, contents.
    pub(crate) unknown: Vec<(u64, bool, Vec<u8>)>,
    /// Sort keys that put the extensions into any order.
    pub(crate) order: Vec<u8>,
    pub(crate) authority: usize,
}

impl Leaf {
    pub(crate) fn authority(&self) -> &'static TestAuthority {
        &AUTHORITIES[self.authority]
    }

    pub(crate) fn extensions(&self) -> Vec<Vec<u8>> {
        let mut extensions = Vec::new();
        if let Some(bits) = self.key_usage {
            let length = (u16::BITS - bits.leading_zeros()) as usize;
            let bytes = bits.reverse_bits().to_be_bytes();
            let value = yasna::construct_der(|writer| {
                writer.write_bitvec_bytes(&bytes[..length.div_ceil(8)], length);
            });
            extensions.push(extension(KEY_USAGE, true, &value));
        }
        if !self.usages.is_empty() {
            let usages: Vec<Vec<u8>> = self
                .usages
                .iter()
                .map(|usage| yasna::construct_der(|writer| writer.write_oid(&oid(usage))))
                .collect();
            extensions.push(extension(EXTENDED_KEY_USAGE, false, &sequence(&usages)));
        }
        if self.basic_constraints {
            extensions.push(extension(BASIC_CONSTRAINTS, true, &[0x30, 0]));
        }
        if self.subject_key_id {
            extensions.push(extension(SUBJECT_KEY_ID, false, &[4, 3, 1, 2, 3]));
        }
        if self.authority_key_id {
            let key_id = self
                .authority()
                .signing
                .certificate()
                .subject_key_id
                .clone();
            let value = yasna::construct_der(|writer| {
                writer.write_sequence(|writer| {
                    writer
                        .next()
                        .write_tagged_implicit(Tag::context(0), |writer| {
                            writer.write_bytes(&key_id.unwrap_or_default());
                        });
                });
            });
            extensions.push(extension(AUTHORITY_KEY_ID, false, &value));
        }
        if !self.names.is_empty() {
            extensions.push(extension(SUBJECT_ALT_NAME, false, &sequence(&self.names)));
        }
        for (number, critical, contents) in &self.unknown {
            let number = [1, 3, 6, 1, 4, 1, 99_999, *number];
            extensions.push(extension(&number, *critical, contents));
        }
        let mut order: Vec<(u8, Vec<u8>)> = self
            .order
            .iter()
            .copied()
            .chain(std::iter::repeat(0))
            .zip(extensions)
            .collect();
        order.sort_by_key(|(key, _)| *key);
        order.into_iter().map(|(_, extension)| extension).collect()
    }

    pub(crate) fn build(&self, key: &TestKey, validity: (&str, &str)) -> Certificate {
        self.build_with(key, validity, self.authority(), &self.extensions())
    }

    pub(crate) fn build_with(
        &self,
        key: &TestKey,
        validity: (&str, &str),
        authority: &TestAuthority,
        extensions: &[Vec<u8>],
    ) -> Certificate {
        let der = sign(
            &authority.subject,
            &name(&self.subject),
            validity,
            key,
            &authority.key,
            &authority.signature_algorithm,
            extensions,
        );
        Certificate::from_der(&der).unwrap()
    }
}

pub(crate) fn oid(components: &[u64]) -> ObjectIdentifier {
    ObjectIdentifier::from_slice(components)
}

pub(crate) fn sequence(elements: &[Vec<u8>]) -> Vec<u8> {
    yasna::construct_der(|writer| {
        writer.write_sequence(|writer| {
            for element in elements {
                writer.next().write_der(element);
            }
        });
    })
}

pub(crate) fn extension(number: &[u64], critical: bool, value: &[u8]) -> Vec<u8> {
    yasna::construct_der(|writer| {
        writer.write_sequence(|writer| {
            writer.next().write_oid(&oid(number));
            if critical {
                writer.next().write_bool(true);
            }
            writer.next().write_bytes(value);
        });
    })
}

pub(crate) fn name(rdns: &[Rdn]) -> Vec<u8> {
    yasna::construct_der(|writer| {
        writer.write_sequence(|writer| {
            for rdn in rdns {
                writer.next().write_set_of(|writer| {
                    for attribute in rdn {
                        writer.next().write_sequence(|writer| {
                            writer.next().write_oid(&oid(&attribute.number));
                            let (tag, bytes) = match attribute.string {
                                StringType::Printable => {
                                    (TAG_PRINTABLESTRING, attribute.value.clone().into_bytes())
                                }
                                StringType::Utf8 => {
                                    (TAG_UTF8STRING, attribute.value.clone().into_bytes())
                                }
                                StringType::Ia5 => {
                                    (TAG_IA5STRING, attribute.value.clone().into_bytes())
                                }
                                StringType::Bmp => (
                                    TAG_BMPSTRING,
                                    attribute
                                        .value
                                        .encode_utf16()
                                        .flat_map(u16::to_be_bytes)
                                        .collect(),
                                ),
                            };
                            writer
                                .next()
                                .write_tagged_der(&TaggedDerValue::from_tag_and_bytes(tag, bytes));
                        });
                    }
                });
            }
        });
    })
}

pub(crate) fn sign(
    issuer: &[u8],
    subject: &[u8],
    validity: (&str, &str),
    key: &TestKey,
    signer: &TestKey,
    algorithm: &[u8],
    extensions: &[Vec<u8>],
) -> Vec<u8> {
    let time = |text: &str| {
        yasna::construct_der(|writer| {
            writer.write_tagged_implicit(TAG_UTCTIME, |writer| writer.write_bytes(text.as_bytes()));
        })
    };
    let mut tbs = vec![
        vec![0xa0, 3, 2, 1, 2],
        vec![2, 1, 17],
        algorithm.to_vec(),
        issuer.to_vec(),
        sequence(&[time(validity.0), time(validity.1)]),
        subject.to_vec(),
        key.pair.subject_public_key_info(),
    ];
    if !extensions.is_empty() {
        tbs.push(yasna::construct_der(|writer| {
            writer.write_tagged(Tag::context(3), |writer| {
                writer.write_der(&sequence(extensions));
            });
        }));
    }
    let tbs = sequence(&tbs);
    let signature = signer.pair.sign(&tbs).unwrap();
    let signature = yasna::construct_der(|writer| {
        writer.write_bitvec_bytes(&signature, signature.len() * 8);
    });
    sequence(&[tbs, algorithm.to_vec(), signature])
}
