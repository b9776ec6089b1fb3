//! The command `tillbind`.

use std::process::ExitCode;

use tillbind_agent::cli;
use tillbind_agent::run::Environment;

fn main() -> anyhow::Result<ExitCode> {
    #[expect(
        clippy::disallowed_methods,
        reason = "the environment is read here and nowhere else"
    )]
    let credentials_dir = std::env::var("CREDENTIALS_DIRECTORY").ok().map(Into::into);
    let arguments = cli::arguments();
    Ok(cli::run(arguments, Environment { credentials_dir })?.into())
}
