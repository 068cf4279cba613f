//! Random leaves, and what can be taken away from one.

use proptest::prelude::*;
use proptest::sample::Index;
use yasna::Tag;

use crate::certificates::{Attribute, Leaf, Rdn, StringType, name, oid};

/// One GeneralName of any type that a certificate may have.
pub(crate) fn general_name() -> impl Strategy<Value = Vec<u8>> {
    let primitive = |number: u64, bytes: Vec<u8>| {
        yasna::construct_der(|writer| {
            writer.write_tagged_implicit(Tag::context(number), |writer| writer.write_bytes(&bytes));
        })
    };
    prop_oneof![
        "(\\*\\.)?[a-z]{1,12}(\\.[a-z]{2,8}){0,3}"
            .prop_map(move |dns| primitive(2, dns.into_bytes())),
        any::<[u8; 4]>().prop_map(move |address| primitive(7, address.to_vec())),
        any::<[u8; 16]>().prop_map(move |address| primitive(7, address.to_vec())),
        "[a-z]{1,8}@[a-z]{1,8}\\.net".prop_map(move |email| primitive(1, email.into_bytes())),
        "spiffe://[a-z]{1,8}/[a-z/]{0,12}".prop_map(move |uri| primitive(6, uri.into_bytes())),
        any::<u32>().prop_map(|last| {
            yasna::construct_der(|writer| {
                writer.write_tagged_implicit(Tag::context(8), |writer| {
                    writer.write_oid(&oid(&[1, 3, 6, 1, 4, 1, u64::from(last)]));
                });
            })
        }),
        rdns().prop_map(|rdns| {
            yasna::construct_der(|writer| {
                writer.write_tagged(Tag::context(4), |writer| writer.write_der(&name(&rdns)));
            })
        }),
        "[a-z]{1,8}".prop_map(|principal| {
            yasna::construct_der(|writer| {
                writer.write_tagged_implicit(Tag::context(0), |writer| {
                    writer.write_sequence(|writer| {
                        writer
                            .next()
                            .write_oid(&oid(&[1, 3, 6, 1, 4, 1, 311, 20, 2, 3]));
                        writer.next().write_tagged(Tag::context(0), |writer| {
                            writer.write_utf8_string(&principal);
                        });
                    });
                });
            })
        }),
    ]
}

pub(crate) fn attribute() -> impl Strategy<Value = Attribute> {
    let number = prop_oneof![
        Just(vec![2, 5, 4, 3]),
        Just(vec![2, 5, 4, 10]),
        Just(vec![2, 5, 4, 10]),
        Just(vec![2, 5, 4, 11]),
        Just(vec![2, 5, 4, 6]),
        Just(vec![2, 5, 4, 5]),
        Just(vec![0, 9, 2342, 19_200_300, 100, 1, 25]),
        (1_u64..1 << 40).prop_map(|last| vec![1, 3, 6, 1, 4, 1, last]),
    ];
    let value = prop_oneof![
        "[a-zA-Z0-9 '()+,./:=?-]{1,20}".prop_map(|value| (StringType::Printable, value)),
        "\\PC{1,20}".prop_map(|value| (StringType::Utf8, value)),
        "[ -~]{1,20}".prop_map(|value| (StringType::Ia5, value)),
        "[a-zäöü€]{1,20}".prop_map(|value| (StringType::Bmp, value)),
    ];
    (number, value).prop_map(|(number, (string, value))| Attribute {
        number,
        string,
        value,
    })
}

pub(crate) fn rdns() -> impl Strategy<Value = Vec<Rdn>> {
    prop::collection::vec(prop::collection::vec(attribute(), 1..4), 1..5)
}

pub(crate) fn usage() -> impl Strategy<Value = Vec<u64>> {
    prop_oneof![
        Just(vec![1, 3, 6, 1, 5, 5, 7, 3, 1]),
        Just(vec![1, 3, 6, 1, 5, 5, 7, 3, 2]),
        any::<u64>().prop_map(|last| vec![1, 3, 6, 1, 4, 1, 311, last]),
    ]
}

pub(crate) fn leaf() -> impl Strategy<Value = Leaf> {
    (
        rdns(),
        prop::collection::vec(general_name(), 0..8),
        prop::option::of(1_u16..512),
        prop::collection::vec(usage(), 0..4),
        any::<[bool; 3]>(),
        prop::collection::btree_map(
            0_u64..1000,
            (any::<bool>(), prop::collection::vec(any::<u8>(), 0..40)),
            0..4,
        ),
        prop::collection::vec(any::<u8>(), 9),
        0_usize..4,
    )
        .prop_map(
            |(subject, names, key_usage, usages, flags, unknown, order, authority)| Leaf {
                subject,
                names,
                key_usage,
                usages,
                basic_constraints: flags[0],
                subject_key_id: flags[1],
                authority_key_id: flags[2],
                unknown: unknown
                    .into_iter()
                    .map(|(number, (critical, contents))| (number, critical, contents))
                    .collect(),
                order,
                authority,
            },
        )
}

/// The leaf with one thing less each, or one thing different.
pub(crate) fn mutilations(leaf: &Leaf, which: Index) -> Vec<(&'static str, Leaf)> {
    let mut all = Vec::new();
    let mut add = |what, change: &dyn Fn(&mut Leaf)| {
        let mut changed = leaf.clone();
        change(&mut changed);
        all.push((what, changed));
    };
    add("subject value", &|leaf| leaf.subject[0][0].value.push('x'));
    add("subject attribute", &|leaf| {
        leaf.subject.pop();
    });
    add("string type", &|leaf| {
        let string = &mut leaf.subject[0][0].string;
        *string = if *string == StringType::Utf8 {
            StringType::Ia5
        } else {
            StringType::Utf8
        };
    });
    if !leaf.names.is_empty() {
        let gone = which.get(&leaf.names).clone();
        add("name", &move |leaf| leaf.names.retain(|name| *name != gone));
        add("all names", &|leaf| leaf.names.clear());
    }
    if let Some(bits) = leaf.key_usage {
        let set: Vec<u16> = (0..9).filter(|bit| bits & (1 << bit) != 0).collect();
        let without = bits & !(1 << which.get(&set));
        if without != 0 {
            add("key usage bit", &move |leaf| leaf.key_usage = Some(without));
        }
        add("key usage", &|leaf| leaf.key_usage = None);
    } else {
        add("unrestricted key usage", &|leaf| leaf.key_usage = Some(511));
    }
    if leaf.usages.is_empty() {
        add("unrestricted usages", &|leaf| {
            leaf.usages.push(vec![1, 3, 6, 1, 5, 5, 7, 3, 1]);
        });
    } else {
        let gone = which.get(&leaf.usages).clone();
        add("usage", &move |leaf| {
            leaf.usages.retain(|usage| *usage != gone);
            // So that the extension stays.
            leaf.usages.push(vec![1, 3, 6, 1, 5, 5, 7, 3, 9]);
        });
        add("all usages", &|leaf| leaf.usages.clear());
    }
    if leaf.basic_constraints {
        add("basic constraints", &|leaf| leaf.basic_constraints = false);
    }
    if !leaf.unknown.is_empty() {
        let at = which.index(leaf.unknown.len());
        add("unknown extension", &move |leaf| {
            leaf.unknown.remove(at);
        });
        add("its contents", &move |leaf| leaf.unknown[at].2.push(0));
        add("its criticality", &move |leaf| {
            leaf.unknown[at].1 = !leaf.unknown[at].1;
        });
    }
    all
}
