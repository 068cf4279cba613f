//! Reading the configuration again while the daemon runs.

use super::pass::Daemon;
use crate::config::{Config, load};
use crate::operation::Context;

impl Daemon {
    /// Reads the configuration again because somebody asked; a wrong one is refused and the running one kept.
    pub(super) fn reload(&mut self) {
        self.systemd.reloading();
        match read_again(&self.context) {
            Ok(config) => {
                self.context.config = config;
                self.retry.permit_now();
                tracing::info!("configuration read again");
            }
            Err(reason) => {
                tracing::error!("configuration not changed, because it is wrong: {reason}")
            }
        }
        self.systemd.ready();
    }

    /// Reads the configuration again because files changed.
    pub(super) fn reload_if_changed(&mut self) {
        match read_again(&self.context) {
            Ok(config) if config == self.context.config => {}
            Ok(config) => {
                self.context.config = config;
                self.retry.permit_now();
                tracing::info!("configuration changed and read again");
            }
            Err(reason) => self.complain_once(format!(
                "configuration not changed, because it is wrong: {reason}"
            )),
        }
    }
}

/// The configuration as it is on disk now.
fn read_again(context: &Context) -> Result<Config, String> {
    match load(&context.root, context.config_file.as_deref()) {
        Ok(loaded) => Ok(loaded.config),
        Err(errors) => {
            let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
            Err(lines.join("; "))
        }
    }
}
