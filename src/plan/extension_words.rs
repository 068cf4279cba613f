//! Why a CA cannot be extended, in an administrator's words.

use std::fmt;

use super::extension::ExtensionObstacle;

impl fmt::Display for ExtensionObstacle {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotOnThisNode => out.write_str("this node has no certificate of it"),
            Self::Unusable(problem) => problem.fmt(out),
            Self::KeyElsewhere => out.write_str(
                "its key is not on this node; extend it where the key is, put the new certificate in the old one's place here, and run this again, \
                 which puts it into all other places",
            ),
            Self::NotVerified => out.write_str(
                "whether its own key signed it cannot be checked here, so it is not put into other places; see `openssl x509 -text`",
            ),
            Self::KeyOfAnother { key } => write!(
                out,
                "{} is not its key; restore the pair from a backup",
                key.display()
            ),
            Self::KeyKind { kind } => write!(
                out,
                "nothing can be signed here with its key, whose kind is {kind}; extend it with a tool that can sign with it"
            ),
            Self::SignedByAnother { issuer } => write!(
                out,
                "{issuer} signed it and not itself; have that CA make its certificate anew for the same key"
            ),
            Self::NamedBySerial { certificates } => write!(
                out,
                "{} would not be accepted any more, since it names the CA's present certificate by issuer and serial number \
                 (authorityKeyIdentifier); renew it first with an authorityKeyIdentifier that names the key alone",
                certificates.join(", ")
            ),
            Self::PathTooLong {
                certificates,
                permitted,
            } => write!(
                out,
                "between it and {} are more CAs than the {permitted} that its basicConstraints permit, and a new certificate permits as \
                 many; those are not accepted as things are, so have them issued anew first",
                certificates.join(", ")
            ),
        }
    }
}
