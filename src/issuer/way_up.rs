//! From a certificate up to one that is trusted.

use jiff::Timestamp;

use crate::pki::Certificate;

/// Who vouches for a certificate.
pub(super) struct WayUp<'a> {
    /// The CA certificates between, nearest first.
    pub(super) between: Vec<&'a Certificate>,
    /// The trusted one at the top.
    pub(super) anchor: &'a Certificate,
}

impl<'a> WayUp<'a> {
    /// The shortest way from `leaf` through CA certificates of `pool` to one of `anchors`. Each on it is valid now and signed by the
    /// next. Each of the pool is gone through once at most, so a pool that others made up costs no more than its size squared.
    pub(super) fn of(
        leaf: &'a Certificate,
        pool: &[&'a Certificate],
        anchors: &[&'a Certificate],
        now: Timestamp,
    ) -> Option<Self> {
        let mut left: Vec<&'a Certificate> = pool
            .iter()
            .copied()
            .filter(|one| one.is_ca && one.is_valid_at(now))
            .collect();
        let mut ways: Vec<Vec<&'a Certificate>> = vec![Vec::new()];
        while !ways.is_empty() {
            for way in &ways {
                let top = way.last().copied().unwrap_or(leaf);
                let anchor = anchors.iter().find(|anchor| {
                    anchor.is_ca && anchor.is_valid_at(now) && top.is_signed_by(anchor)
                });
                if let Some(anchor) = anchor {
                    return Some(Self {
                        between: way.clone(),
                        anchor,
                    });
                }
            }
            let mut longer = Vec::new();
            for way in &ways {
                let top = way.last().copied().unwrap_or(leaf);
                let (next, rest) = left.into_iter().partition(|one| top.is_signed_by(one));
                left = rest;
                let next: Vec<&'a Certificate> = next;
                longer.extend(next.into_iter().map(|one| {
                    let mut way = way.clone();
                    way.push(one);
                    way
                }));
            }
            ways = longer;
        }
        None
    }

    /// The one that signed the certificate itself.
    pub(super) fn issuer(&self) -> &'a Certificate {
        self.between.first().copied().unwrap_or(self.anchor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::{
        CertificateAuthority, KeyAlgorithm, NewAuthority, NewLeaf, PrivateKey, Validity,
    };
    use jiff::SignedDuration;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn authority() -> CertificateAuthority {
        CertificateAuthority::generate(&NewAuthority {
            common_name: "ca".to_owned(),
            algorithm: KeyAlgorithm::EcdsaP256,
            not_before: NOW,
            not_after: NOW + SignedDuration::from_hours(1),
        })
        .unwrap()
    }

    fn leaf(authority: &CertificateAuthority) -> Certificate {
        let leaf = NewLeaf {
            common_name: "x".to_owned(),
            organizations: Vec::new(),
            subject_alt_names: Vec::new(),
            server_auth: true,
            client_auth: false,
        };
        let validity = Validity {
            not_before: NOW,
            not_after: NOW + SignedDuration::from_hours(1),
        };
        let key = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
        leaf.sign(&key, authority, validity).unwrap()
    }

    #[test]
    fn only_a_signature_of_an_anchor_that_is_valid_leads_up() {
        let (own, other) = (authority(), authority());
        let leaf = leaf(&own);
        let (own, other) = (own.certificate(), other.certificate());
        let way = WayUp::of(&leaf, &[other], &[other, own], NOW).unwrap();
        assert!(way.between.is_empty());
        assert_eq!((way.anchor, way.issuer()), (own, own));
        // Of the same name, with another key; the right one only sent along; a leaf in the place of an anchor; too late.
        assert!(WayUp::of(&leaf, &[], &[other], NOW).is_none());
        assert!(WayUp::of(&leaf, &[own], &[other], NOW).is_none());
        assert!(WayUp::of(&leaf, &[], &[&leaf], NOW).is_none());
        let later = NOW + SignedDuration::from_hours(2);
        assert!(WayUp::of(&leaf, &[], &[own], later).is_none());
    }

    #[test]
    fn many_that_sign_one_another_end() {
        let authorities: Vec<CertificateAuthority> = (0..20).map(|_| authority()).collect();
        let pool: Vec<&Certificate> = authorities.iter().map(|one| one.certificate()).collect();
        let pool = pool.repeat(10);
        let leaf = leaf(&authorities[0]);
        let stranger = authority();
        assert!(WayUp::of(&leaf, &pool, &[stranger.certificate()], NOW).is_none());
    }
}
