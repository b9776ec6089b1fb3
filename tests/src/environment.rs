//! What the surroundings say: read here and nowhere else.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

/// Names the folder of the real samples, which are not part of the project.
pub const SAMPLES: &str = "TILLBIND_SAMPLES";
/// Names the folder of the binaries under test; without it they are looked for beside the test.
pub const BIN_DIR: &str = "TILLBIND_BIN_DIR";
/// Names the folder of the independent clients; without it `build/clients` in the project.
pub const CLIENTS: &str = "TILLBIND_CLIENTS";
/// Set to `tcg`, has the virtual machines of the power cuts do without KVM.
pub const ACCEL: &str = "TILLBIND_ACCEL";
/// Set to anything, keeps the folders of scenes that went well, too.
pub const KEEP: &str = "TILLBIND_KEEP";

/// Returns a variable, if it is set and not empty.
pub fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// Returns the folder of the samples; where there is none, says so on the test's output.
#[expect(
    clippy::print_stderr,
    reason = "a test that leaves something out has to say it where its reader looks"
)]
pub fn samples(left_out: &str) -> Option<PathBuf> {
    let found = variable(SAMPLES)
        .map(PathBuf::from)
        .filter(|path| path.is_dir());
    if found.is_none() {
        eprintln!("{SAMPLES} names no folder: left out are {left_out}");
    }
    found
}

/// Returns the folder into which `./dev test` installs the independent clients; where they are not
/// installed and nobody says that they are, says so on the test's output.
///
/// # Errors
/// When the variable names a folder without them.
#[expect(
    clippy::print_stderr,
    reason = "a test that leaves something out has to say it where its reader looks"
)]
pub fn clients() -> Result<Option<PathBuf>> {
    let named = variable(CLIENTS).map(PathBuf::from);
    let folder = match &named {
        Some(folder) => folder.clone(),
        None => project()?.join("build/clients"),
    };
    let installed = ["venv/bin/python", "node_modules/receiptline"]
        .iter()
        .all(|part| folder.join(part).exists());
    match (installed, named) {
        (true, _) => Ok(Some(folder)),
        (false, Some(folder)) => bail!(
            "{CLIENTS} names {}, where python-escpos and receiptline are not installed",
            folder.display()
        ),
        (false, None) => {
            eprintln!(
                "left out is the printing of python-escpos and receiptline: `./dev test` installs \
                 them into {}",
                folder.display()
            );
            Ok(None)
        }
    }
}

/// Returns the variables that the agent's service unit sets, so that it runs here as it does at a till.
///
/// # Errors
/// When the unit cannot be read, or sets none.
pub fn of_the_unit() -> Result<Vec<(String, String)>> {
    let path = project()?.join("installer/tillbind.service");
    let unit = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let set = unit
        .lines()
        .filter_map(|line| line.strip_prefix("Environment="));
    let variables: Vec<(String, String)> = set
        .flat_map(str::split_whitespace)
        .filter_map(|variable| variable.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    ensure!(!variables.is_empty(), "{} sets no variable", path.display());
    Ok(variables)
}

/// Returns the project's root.
///
/// # Errors
/// Never where the crate lies in its workspace.
pub fn project() -> Result<&'static Path> {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .context("the tests lie outside of the project")
}

/// Returns the folder of `tillbind` and `tillbind-central`.
///
/// # Errors
/// When they are not built.
pub fn binaries() -> Result<PathBuf> {
    if let Some(dir) = variable(BIN_DIR) {
        return Ok(dir.into());
    }
    let exe = std::env::current_exe().context("the test cannot find itself")?;
    let Some(dir) = exe
        .ancestors()
        .skip(1)
        .take(3)
        .find(|dir| dir.join("tillbind").is_file() && dir.join("tillbind-central").is_file())
    else {
        bail!(
            "tillbind and tillbind-central are not built beside {}: run `cargo build --workspace \
             --bins` first, or name their folder in {BIN_DIR}",
            exe.display()
        );
    };
    Ok(dir.to_owned())
}

/// Finds a program in PATH.
pub fn program(name: &str) -> Option<PathBuf> {
    std::env::split_paths(&variable("PATH")?)
        .map(|dir| dir.join(name))
        .find(|path| path.is_file())
}
