//! The few messages of etcd's that are needed, each for both ways of asking: gRPC by the field numbers of its published protocol,
//! JSON by the names of its gateway, which writes 64-bit numbers as strings, leaves out zeros, and writes enumerations by name.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// In front of every answer.
#[derive(Clone, PartialEq, Eq, prost::Message, Deserialize)]
#[serde(default)]
pub(crate) struct Header {
    #[prost(uint64, tag = "1")]
    #[serde(deserialize_with = "number")]
    pub(crate) cluster_id: u64,
    /// The member that answers.
    #[prost(uint64, tag = "2")]
    #[serde(deserialize_with = "number")]
    pub(crate) member_id: u64,
}

#[derive(Clone, PartialEq, Eq, prost::Message, Serialize)]
pub(crate) struct MemberListRequest {
    /// Asked of a quorum, not of the member's own memory; releases before 3.5 do not know the field.
    #[prost(bool, tag = "1")]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) linearizable: bool,
}

#[derive(Clone, PartialEq, Eq, prost::Message, Deserialize)]
#[serde(default)]
pub(crate) struct MemberListResponse {
    #[prost(message, repeated, tag = "2")]
    pub(crate) members: Vec<Member>,
}

#[derive(Clone, PartialEq, Eq, prost::Message, Deserialize)]
#[serde(default)]
pub(crate) struct Member {
    #[prost(uint64, tag = "1")]
    #[serde(rename = "ID", deserialize_with = "number")]
    pub(crate) id: u64,
    /// Empty until it has started for the first time.
    #[prost(string, tag = "2")]
    pub(crate) name: String,
    #[prost(string, repeated, tag = "3")]
    #[serde(rename = "peerURLs")]
    pub(crate) peer_urls: Vec<String>,
    #[prost(string, repeated, tag = "4")]
    #[serde(rename = "clientURLs")]
    pub(crate) client_urls: Vec<String>,
    #[prost(bool, tag = "5")]
    #[serde(rename = "isLearner")]
    pub(crate) is_learner: bool,
}

#[derive(Clone, PartialEq, Eq, prost::Message, Serialize)]
pub(crate) struct StatusRequest {}

#[derive(Clone, PartialEq, Eq, prost::Message, Deserialize)]
#[serde(default)]
pub(crate) struct StatusResponse {
    #[prost(message, optional, tag = "1")]
    pub(crate) header: Option<Header>,
    #[prost(string, tag = "2")]
    pub(crate) version: String,
    /// Bytes.
    #[prost(int64, tag = "3")]
    #[serde(rename = "dbSize", deserialize_with = "number")]
    pub(crate) db_size: i64,
    #[prost(uint64, tag = "4")]
    #[serde(deserialize_with = "number")]
    pub(crate) leader: u64,
    #[prost(uint64, tag = "5")]
    #[serde(rename = "raftIndex", deserialize_with = "number")]
    pub(crate) raft_index: u64,
    #[prost(uint64, tag = "6")]
    #[serde(rename = "raftTerm", deserialize_with = "number")]
    pub(crate) raft_term: u64,
    #[prost(uint64, tag = "7")]
    #[serde(rename = "raftAppliedIndex", deserialize_with = "number")]
    pub(crate) raft_applied_index: u64,
    #[prost(string, repeated, tag = "8")]
    pub(crate) errors: Vec<String>,
    #[prost(bool, tag = "10")]
    #[serde(rename = "isLearner")]
    pub(crate) is_learner: bool,
    /// Bytes; 0 before 3.6.
    #[prost(int64, tag = "12")]
    #[serde(rename = "dbSizeQuota", deserialize_with = "number")]
    pub(crate) db_size_quota: i64,
}

/// Asks for the list of alarms: action GET, of every member, of every kind, all of which are zero.
#[derive(Clone, PartialEq, Eq, prost::Message, Serialize)]
pub(crate) struct AlarmRequest {}

#[derive(Clone, PartialEq, Eq, prost::Message, Deserialize)]
#[serde(default)]
pub(crate) struct AlarmResponse {
    #[prost(message, repeated, tag = "2")]
    pub(crate) alarms: Vec<AlarmMember>,
}

#[derive(Clone, PartialEq, Eq, prost::Message, Deserialize)]
#[serde(default)]
pub(crate) struct AlarmMember {
    #[prost(uint64, tag = "1")]
    #[serde(rename = "memberID", deserialize_with = "number")]
    pub(crate) member_id: u64,
    /// 1 NOSPACE, 2 CORRUPT.
    #[prost(int32, tag = "2")]
    #[serde(deserialize_with = "alarm")]
    pub(crate) alarm: i32,
}

#[derive(Clone, PartialEq, Eq, prost::Message, Serialize)]
pub(crate) struct MoveLeaderRequest {
    #[prost(uint64, tag = "1")]
    #[serde(rename = "targetID", serialize_with = "as_string")]
    pub(crate) target_id: u64,
}

#[derive(Clone, PartialEq, Eq, prost::Message, Deserialize)]
#[serde(default)]
pub(crate) struct MoveLeaderResponse {}

fn as_string<S: Serializer>(number: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(number)
}

/// A 64-bit number as a string, or as a number.
fn number<'de, D, N>(deserializer: D) -> Result<N, D::Error>
where
    D: Deserializer<'de>,
    N: FromStr + TryFrom<u64>,
{
    struct Number<N>(PhantomData<N>);
    impl<N: FromStr + TryFrom<u64>> Visitor<'_> for Number<N> {
        type Value = N;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("a whole number of 64 bits")
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<N, E> {
            let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            let number = digits.then(|| text.parse().ok()).flatten();
            number.ok_or_else(|| E::invalid_value(Unexpected::Other("another text"), &self))
        }

        fn visit_u64<E: Error>(self, number: u64) -> Result<N, E> {
            N::try_from(number).map_err(|_| E::invalid_value(Unexpected::Unsigned(number), &self))
        }
    }
    deserializer.deserialize_any(Number(PhantomData))
}

/// The name of an alarm or its number; one that is not known here is an alarm all the same.
fn alarm<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i32, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Name(String),
        Number(i32),
    }
    Ok(match Written::deserialize(deserializer)? {
        Written::Number(number) => number,
        Written::Name(name) => match name.as_str() {
            "NONE" => 0,
            "NOSPACE" => 1,
            "CORRUPT" => 2,
            _ => -1,
        },
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    #[test]
    fn numbers_are_read_as_the_gateway_writes_them_and_nothing_else_is() {
        let read = |text: &str| {
            serde_json::from_str::<StatusResponse>(&format!(r#"{{"leader":{text}}}"#))
                .map(|status| status.leader)
        };
        assert_eq!(read(r#""18446744073709551615""#).unwrap(), u64::MAX);
        assert_eq!(read("7").unwrap(), 7);
        for wrong in [
            r#""18446744073709551616""#,
            r#""-1""#,
            r#""+1""#,
            r#""""#,
            r#""1e3""#,
            r#"" 1""#,
            "-1",
            "1.5",
            "1e30",
            "null",
            "true",
            "[]",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
        let size = |text: &str| {
            serde_json::from_str::<StatusResponse>(&format!(r#"{{"dbSize":{text}}}"#))
                .map(|status| status.db_size)
        };
        assert_eq!(size(r#""9223372036854775807""#).unwrap(), i64::MAX);
        assert!(size(r#""9223372036854775808""#).is_err());
        assert!(size("9223372036854775808").is_err());
        assert!(size(r#""-1""#).is_err());
    }

    #[test]
    fn an_unknown_alarm_is_one() {
        let read = |text: &str| {
            let text = format!(r#"{{"alarms":[{{"memberID":"1","alarm":{text}}}]}}"#);
            serde_json::from_str::<AlarmResponse>(&text).unwrap().alarms[0].alarm
        };
        assert_eq!(read(r#""NOSPACE""#), 1);
        assert_eq!(read(r#""CORRUPT""#), 2);
        assert_eq!(read("2"), 2);
        assert_eq!(read(r#""FIRE""#), -1);
    }

    #[test]
    fn questions_are_written_as_the_gateway_reads_them() {
        let json = |question: &dyn erased::Json| question.json();
        assert_eq!(
            json(&MemberListRequest {
                linearizable: false
            }),
            "{}"
        );
        assert_eq!(
            json(&MemberListRequest { linearizable: true }),
            r#"{"linearizable":true}"#
        );
        assert_eq!(json(&StatusRequest {}), "{}");
        assert_eq!(
            json(&MoveLeaderRequest {
                target_id: u64::MAX
            }),
            r#"{"targetID":"18446744073709551615"}"#
        );
    }

    mod erased {
        pub(super) trait Json {
            fn json(&self) -> String;
        }
        impl<T: serde::Serialize> Json for T {
            fn json(&self) -> String {
                serde_json::to_string(self).unwrap()
            }
        }
    }
}
