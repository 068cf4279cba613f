//! `CertificateExpirationInfo` as a value, in kubeadm's order of fields.

use serde_json::{Map, Value, json};

use super::rows::{CertificateRow, ExpirationInfo, Found};
use crate::pki::rfc3339;

pub(super) fn document(info: &ExpirationInfo) -> Value {
    let rows = |rows: &[CertificateRow], more: fn(&CertificateRow, &mut Map<String, Value>)| {
        rows.iter()
            .map(|row| {
                let mut fields = row_fields(info, row);
                if info.all {
                    more(row, &mut fields);
                }
                Value::Object(fields)
            })
            .collect::<Vec<_>>()
    };
    let mut document = json!({
        "kind": "CertificateExpirationInfo",
        "apiVersion": "output.kubeadm.k8s.io/v1alpha3",
        "certificates": rows(&info.certificates, add_effective),
        "certificateAuthorities": rows(&info.authorities, |_, _| {}),
    });
    // What follows is not kubeadm's; its readers skip unknown fields.
    if info.all {
        document["otherCertificates"] = Value::Array(rows(&info.others, |row, fields| {
            add_effective(row, fields);
            fields.insert("signedBy".to_owned(), json!(row.signed_by));
            fields.insert("path".to_owned(), json!(row.path.to_string_lossy()));
        }));
    }
    if !info.missing_names.is_empty() {
        let missing = info.missing_names.iter();
        let missing = missing.map(|(id, names)| json!({"certificate": id, "names": names}));
        document["missingNames"] = missing.collect();
    }
    if let (Value::Object(fields), Value::Object(copies)) = (&mut document, json!(info.copies)) {
        fields.extend(copies);
    }
    if info.all || !info.problems.is_empty() {
        document["problems"] = json!(info.problems);
    }
    document
}

pub(super) fn to_json(info: &ExpirationInfo) -> String {
    // serde_json's own layout has two spaces for each level; no line break is ever inside a text.
    let mut text = String::new();
    for line in format!("{:#}", document(info)).lines() {
        let content = line.trim_start_matches(' ');
        let indent = line.len() - content.len();
        text.extend(std::iter::repeat_n(' ', indent * 2));
        text.push_str(content);
        text.push('\n');
    }
    text
}

fn row_fields(info: &ExpirationInfo, row: &CertificateRow) -> Map<String, Value> {
    let end = match row.found {
        Found::Expires { not_after, .. } => Some(not_after),
        Found::Missing | Found::Unreadable(_) => None,
    };
    let mut fields = Map::new();
    fields.insert("name".to_owned(), json!(row.name));
    fields.insert("expirationDate".to_owned(), json!(end.map(rfc3339)));
    fields.insert(
        "residualTime".to_owned(),
        json!(end.map_or(0, |end| info.residual(end).as_secs())),
    );
    fields.insert(
        "externallyManaged".to_owned(),
        json!(end.is_some() && row.externally_managed),
    );
    if let Some(authority) = row.authority
        && end.is_some()
    {
        fields.insert("caName".to_owned(), json!(authority.name()));
    }
    fields.insert("missing".to_owned(), json!(row.found == Found::Missing));
    if let Found::Unreadable(reason) = &row.found {
        fields.insert("error".to_owned(), json!(reason));
    }
    fields
}

fn add_effective(row: &CertificateRow, fields: &mut Map<String, Value>) {
    let effective = match row.found {
        Found::Expires { effective, .. } => Some(rfc3339(effective)),
        Found::Missing | Found::Unreadable(_) => None,
    };
    fields.insert("effectiveExpirationDate".to_owned(), json!(effective));
}
