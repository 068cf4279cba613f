//! `kubecertd history`

use std::iter;
use std::process::ExitCode;

use super::arguments::HistoryAction;
use super::output::{error, line, print};
use super::renew::exit_code;
use super::values::Format;
use crate::config::nearest;
use crate::files::{Generation, generations};
use crate::host::{Journald, Root};
use crate::journal::{Outcome, Store, Trigger};
use crate::operation::witnesses;
use crate::pki::date;
use crate::report::{Comparison, Described, History, HistoryError, Receipt, Witness, columns};

/// So many contradictions are said one by one.
const MOST_SAID: usize = 10;

pub(super) fn run(
    root: &Root,
    action: Option<&HistoryAction>,
    output: Format,
) -> anyhow::Result<ExitCode> {
    let store = Store::new(root);
    match action {
        None => list(&store, output),
        Some(HistoryAction::Show { id, output }) => show(&store, id, *output),
        Some(HistoryAction::Verify) => {
            verify(&store, root.is_system().then(Journald::default).as_ref())
        }
    }
}

fn list(store: &Store, output: Format) -> anyhow::Result<ExitCode> {
    let entries = History::new(store).entries()?;
    let broken = entries.iter().any(Result::is_err);
    match output {
        Format::Json => {
            let receipts: Vec<&Receipt> = entries.iter().flatten().collect();
            print(&format!("{}\n", serde_json::to_string_pretty(&receipts)?))?;
        }
        Format::Text if entries.is_empty() => {
            print("No operation has ended yet on this node.\n")?;
        }
        Format::Text => {
            let titles = ["OPERATION", "FINISHED", "ASKED BY", "DID", "OUTCOME"];
            let rows = entries.iter().flatten().map(row);
            let rows: Vec<[String; 5]> =
                iter::once(titles.map(str::to_owned)).chain(rows).collect();
            print(&columns(&rows))?;
        }
    }
    for reason in entries.iter().filter_map(|entry| entry.as_ref().err()) {
        error(&reason.to_string());
    }
    Ok(if broken {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

fn verify(store: &Store, journald: Option<&Journald>) -> anyhow::Result<ExitCode> {
    let history = History::new(store);
    let broken = match history.verify() {
        Ok(count) => {
            print(&line(format_args!(
                "{}: {}, none changed, missing or moved.",
                store.history().display(),
                receipts(count)
            )))?;
            false
        }
        Err(HistoryError::Broken { path, line, reason }) => {
            error(&format!(
                "{}:{line}: {reason}; compare it with `journalctl -t kubecertd`",
                path.display()
            ));
            true
        }
        Err(other) => return Err(other.into()),
    };
    let contradicted = compare(&history, journald)?;
    Ok(exit_code(!broken && !contradicted))
}

/// Says what the journal knows of the history, and what it cannot know. Whether something is missing or changed.
fn compare(history: &History, journald: Option<&Journald>) -> anyhow::Result<bool> {
    let Some(journald) = journald else {
        print("The journal is another machine's, so that nothing else confirms them.\n")?;
        return Ok(false);
    };
    let all = match witnesses(journald) {
        Ok(all) => all,
        Err(reason) => {
            print(&line(format_args!(
                "Nothing else confirms them, because the journal cannot be read: {reason}"
            )))?;
            return Ok(false);
        }
    };
    let comparison = history.compare(&all)?;
    print(&in_words(&comparison, all.first()))?;
    for reason in comparison.contradictions.iter().take(MOST_SAID) {
        error(reason);
    }
    if let Some(more) = comparison
        .contradictions
        .len()
        .checked_sub(MOST_SAID)
        .filter(|more| *more > 0)
    {
        error(&format!("and so it is with {more} more"));
    }
    Ok(!comparison.contradictions.is_empty())
}

/// Whatever could have happened without a trace is said as well.
fn in_words(comparison: &Comparison, oldest: Option<&Witness>) -> String {
    let Comparison {
        receipts: all,
        confirmed,
        ..
    } = *comparison;
    let Some(oldest) = oldest else {
        return if all == 0 {
            "The journal has no entry of root's about any, so there is nothing to compare. If both were removed, nothing here \
             shows it.\n"
                .to_owned()
        } else {
            "The journal has no entry of root's about them, so nothing else confirms them: it was removed, does not go back so \
             far, or they were written by an earlier version.\n"
                .to_owned()
        };
    };
    let mut text = format!(
        "The journal confirms {confirmed} of {}, by entries since {} that root wrote (_UID=0).\n",
        receipts(all),
        date(oldest.at)
    );
    if confirmed < all {
        text.push_str(&format!(
            "It says nothing about what follows receipt {confirmed}, so nothing else confirms that.\n"
        ));
    }
    text
}

fn receipts(count: usize) -> String {
    format!("{count} receipt{}", if count == 1 { "" } else { "s" })
}

fn show(store: &Store, id: &str, output: Format) -> anyhow::Result<ExitCode> {
    let entries = History::new(store).entries()?;
    let receipts: Vec<&Receipt> = entries.iter().flatten().collect();
    let receipt = find(&receipts, id)?;
    let kept = generations(store)?
        .into_iter()
        .find(|generation| generation.id == receipt.id);
    print(&match output {
        Format::Json => {
            let mut value = serde_json::to_value(receipt)?;
            if let Some(object) = value.as_object_mut() {
                let files = kept.as_ref().map(|generation| &generation.files);
                object.insert("backup".to_owned(), serde_json::to_value(files)?);
            }
            format!("{}\n", serde_json::to_string_pretty(&value)?)
        }
        Format::Text => text(receipt, kept.as_ref(), store),
    })?;
    Ok(ExitCode::SUCCESS)
}

/// By the whole id or the beginning of one.
fn find<'all>(receipts: &[&'all Receipt], id: &str) -> anyhow::Result<&'all Receipt> {
    let matching: Vec<&&Receipt> = receipts
        .iter()
        .filter(|receipt| receipt.id.starts_with(id))
        .collect();
    if let Some(exact) = matching.iter().find(|receipt| receipt.id == id) {
        return Ok(exact);
    }
    match matching.as_slice() {
        [one] => Ok(one),
        [] => match nearest(id, receipts.iter().map(|receipt| receipt.id.as_str())) {
            Some(near) => anyhow::bail!("no operation is called {id:?}; did you mean {near:?}?"),
            None => anyhow::bail!("no operation is called {id:?}; see `kubecertd history`"),
        },
        more => anyhow::bail!(
            "{id:?} is the beginning of {} operations: {}",
            more.len(),
            more.iter()
                .map(|receipt| receipt.id.as_str())
                .collect::<Vec<_>>()
                .join(", ")
        ),
    }
}

fn row(receipt: &Receipt) -> [String; 5] {
    [
        receipt.id.clone(),
        date(receipt.finished),
        asked_by(&receipt.trigger),
        did(receipt),
        match &receipt.outcome {
            Outcome::Done => "done".to_owned(),
            Outcome::RolledBack(_) => "rolled back".to_owned(),
            Outcome::Failed(_) => "failed".to_owned(),
        },
    ]
}

fn asked_by(trigger: &Trigger) -> String {
    match trigger {
        Trigger::Schedule => "the daemon".to_owned(),
        Trigger::Command(command) => command.clone(),
    }
}

fn did(receipt: &Receipt) -> String {
    let count = |number: usize, noun: &str| match number {
        0 => None,
        1 => Some(format!("1 {noun}")),
        more => Some(format!("{more} {noun}s")),
    };
    let parts: Vec<String> = [
        count(receipt.certificates.len(), "certificate"),
        count(receipt.restarts.len(), "restart"),
        count(receipt.warnings.len(), "warning"),
    ]
    .into_iter()
    .flatten()
    .collect();
    if parts.is_empty() {
        "nothing".to_owned()
    } else {
        parts.join(", ")
    }
}

fn described_as(one: &Described) -> String {
    let mut text = format!("{}, issued by {}", one.subject, one.issuer);
    if !one.names.is_empty() {
        text.push_str(&format!(", for {}", one.names.join(" ")));
    }
    text.push_str(&format!(", SHA-256 {}", one.fingerprint));
    text
}

fn text(receipt: &Receipt, kept: Option<&Generation>, store: &Store) -> String {
    let mut text = [
        line(format_args!("Operation {}", receipt.id)),
        line(format_args!("  Asked by: {}", asked_by(&receipt.trigger))),
        line(format_args!("   Started: {}", date(receipt.started))),
        line(format_args!("  Finished: {}", date(receipt.finished))),
    ]
    .concat();
    if let Some(by) = &receipt.by {
        text.push_str(&line(format_args!(
            "   Process: {by}: {}",
            by.command.join(" ")
        )));
    }
    text.push_str(&match &receipt.outcome {
        Outcome::Done => line(format_args!("   Outcome: done")),
        Outcome::RolledBack(reason) => line(format_args!("   Outcome: rolled back: {reason}")),
        Outcome::Failed(reason) => line(format_args!("   Outcome: failed: {reason}")),
    });
    let mut section = |title: &str, lines: Vec<String>| {
        if !lines.is_empty() {
            text.push('\n');
            text.push_str(&line(format_args!("{title}:")));
            for one in lines {
                text.push_str(&line(format_args!("  {one}")));
            }
        }
    };
    let certificates =
        receipt.certificates.iter().flat_map(|one| {
            let mut lines = vec![format!(
                "{} ({}): serial {} until {}, before {} until {}",
                one.id,
                one.path.display(),
                one.new_serial,
                date(one.new_not_after),
                one.old_serial,
                date(one.old_not_after)
            )];
            let described = [("now", &one.new), ("before", &one.old)];
            lines.extend(described.into_iter().filter_map(|(when, one)| {
                Some(format!("  {when}: {}", described_as(one.as_ref()?)))
            }));
            lines
        });
    section("Certificates", certificates.collect());
    let restarts = receipt.restarts.iter();
    section(
        "Restarts, from manifest out to healthy",
        restarts
            .map(|(component, seconds)| format!("{component}: {seconds:.1} s"))
            .collect(),
    );
    section("Proofs", receipt.proofs.clone());
    let copies = receipt.copies.iter();
    section(
        "Copies of admin.conf brought up to date",
        copies.map(|path| path.display().to_string()).collect(),
    );
    section("Warnings", receipt.warnings.clone());
    match kept {
        Some(generation) => {
            let files = generation.files.iter().map(|file| {
                let note = match &file.contents {
                    None => " (there was none)".to_owned(),
                    Some(held) => held.removed.map_or_else(String::new, |moment| {
                        format!(" (removed on {} by backup.max-age)", date(moment))
                    }),
                };
                format!("{}{note}", file.path.display())
            });
            let title = format!(
                "Backup, in {}",
                store.backups().join(&generation.id).display()
            );
            section(&title, files.collect());
        }
        None => text.push_str("\nNo backup of it is kept.\n"),
    }
    text
}
