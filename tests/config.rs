//! The configuration: shipped files, errors with lines and nearest names, settings, round trips, hostile input.

mod hostile;
mod reading;
mod relations;
mod round_trip;
mod shipped;

use maskscope::config::Config;

fn read(text: &str) -> Config {
    Config::from_yaml(text, "test.yaml").unwrap().0
}

/// The whole message of the error that `text` gives.
fn error(text: &str) -> String {
    let error = Config::from_yaml(text, "test.yaml")
        .map(|_| ())
        .unwrap_err();
    error.to_string()
}
