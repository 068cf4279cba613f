//! Reading the configuration again while the daemon runs.

use super::aside::aside;
use super::odd_configuration::OddConfiguration;
use super::service::Daemon;
use crate::config::{Config, load};

impl Daemon {
    /// Reads the configuration again because an administrator asked for it; a wrong one is refused and the running one kept.
    /// Whether another one may be in force now.
    pub(super) async fn reload(&mut self) -> bool {
        self.systemd.reloading();
        self.wrong_configuration = None;
        let is_new = match self.read_again().await {
            Ok(config) => {
                self.put_in_force(config);
                tracing::info!("configuration read again");
                true
            }
            Err(reason) => {
                self.refuse(reason);
                false
            }
        };
        self.systemd.ready();
        is_new
    }

    /// Reads the configuration again because something may have changed. Whether another one is in force now.
    pub(super) async fn reload_if_changed(&mut self) -> bool {
        match self.read_again().await {
            Ok(config) if config == self.context.config => {
                if self.wrong_configuration.take().is_some() {
                    tracing::info!("configuration is right again, and as before");
                }
                false
            }
            Ok(config) => {
                self.wrong_configuration = None;
                self.put_in_force(config);
                tracing::info!("configuration changed and read again");
                true
            }
            Err(reason) => {
                self.refuse(reason);
                false
            }
        }
    }

    fn put_in_force(&mut self, config: Config) {
        if let Some(log) = &self.log
            && let Err(error) = log.set(&config.log.level)
        {
            tracing::error!("{error}");
        }
        if config.log.format != self.context.config.log.format {
            tracing::warn!("another log.format takes effect when the daemon is started again");
        }
        self.context.config = config;
    }

    /// Keeps the running configuration. Said in the log when it becomes wrong in another way, and in the status as long as
    /// it is.
    fn refuse(&mut self, reason: String) {
        if self.wrong_configuration.as_ref() != Some(&reason) {
            tracing::error!("configuration not changed, because it is wrong: {reason}");
        }
        self.wrong_configuration = Some(reason);
    }

    /// The configuration as it is on disk now, and what is odd about it.
    async fn read_again(&mut self) -> Result<Config, String> {
        let root = self.context.root.clone();
        let file = self.context.config_file.clone();
        let work = move || async move { load(&root, file.as_deref()) };
        match aside("configuration", work).await {
            Ok(loaded) => {
                self.odd_configuration = OddConfiguration::of(&loaded);
                Ok(loaded.config)
            }
            Err(errors) => {
                let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
                Err(lines.join("; "))
            }
        }
    }
}
