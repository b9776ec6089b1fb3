//! A scene: a folder for everything that one test starts.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::central::{Central, Database};
use crate::environment;
use crate::process::log_tail;
use crate::terminal::{Setup, Terminal};

/// Lines of each log that are shown when a test fails.
const LOG_LINES_SHOWN: usize = 40;

/// The folder of one test.
#[derive(Debug)]
pub struct Scene {
    path: PathBuf,
    temporary: Option<TempDir>,
}

impl Scene {
    /// Makes an empty folder.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn new(name: &str) -> Result<Self> {
        let dir = tempfile::Builder::new()
            .prefix(&format!("tillbind-{name}-"))
            .tempdir()
            .context("no temporary folder can be made")?;
        Ok(Self {
            path: dir.path().to_owned(),
            temporary: Some(dir),
        })
    }

    /// Takes a folder that stays, and empties it.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn at(path: &Path) -> Result<Self> {
        if path.exists() {
            fs::remove_dir_all(path).with_context(|| path.display().to_string())?;
        }
        fs::create_dir_all(path).with_context(|| path.display().to_string())?;
        Ok(Self {
            path: path.canonicalize()?,
            temporary: None,
        })
    }

    /// Returns the folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes a folder within.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn folder(&self, name: &str) -> Result<PathBuf> {
        let path = self.path().join(name);
        fs::create_dir_all(&path).with_context(|| path.display().to_string())?;
        Ok(path)
    }

    /// Starts a central.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn central(&self, name: &str, database: &Database) -> Result<Central> {
        let mut central = Central::new(&self.folder(name)?, database)?;
        central.start()?;
        Ok(central)
    }

    /// Enrols a terminal with `central` and starts it.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn terminal(&self, name: &str, central: &Central, setup: Setup) -> Result<Terminal> {
        let mut terminal = Terminal::new(&self.folder(name)?, setup)?;
        terminal.enrol(central)?.success()?;
        terminal.start()?;
        Ok(terminal)
    }

    /// Returns the logs of all daemons.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn logs(&self) -> Result<Vec<PathBuf>> {
        let mut logs = Vec::new();
        for folder in fs::read_dir(self.path())? {
            let folder = folder?.path();
            if folder.is_dir() {
                for file in fs::read_dir(folder)? {
                    let file = file?.path();
                    if file.extension().is_some_and(|ending| ending == "log") {
                        logs.push(file);
                    }
                }
            }
        }
        logs.sort();
        Ok(logs)
    }

    fn end(self, failed: bool) {
        if let Some(dir) = self.temporary
            && (failed || environment::variable(environment::KEEP).is_some())
        {
            tell(&format!("kept for a look: {}", dir.keep().display()));
        }
    }
}

/// Makes a temporary folder in memory where the system has one (`/dev/shm`), for what is written often
/// and whose durability nobody asks for.
///
/// # Errors
/// When no folder can be made.
pub fn memory(name: &str) -> Result<TempDir> {
    let prefix = format!("tillbind-{name}-");
    let mut builder = tempfile::Builder::new();
    builder.prefix(&prefix);
    let memory = Path::new("/dev/shm");
    if memory.is_dir() {
        return builder
            .tempdir_in(memory)
            .context("no folder can be made in /dev/shm");
    }
    builder.tempdir().context("no temporary folder can be made")
}

/// Plays a test in a scene of its own; if it fails, shows the ends of all logs and keeps the folder.
///
/// # Errors
/// What the test says.
pub fn play(name: &str, test: impl FnOnce(&Scene) -> Result<()>) -> Result<()> {
    let scene = Scene::new(name)?;
    let result = test(&scene);
    if result.is_err() {
        for log in scene.logs()? {
            tell(&format!(
                "--- {} ---\n{}",
                log.display(),
                log_tail(&log, LOG_LINES_SHOWN)
            ));
        }
    }
    scene.end(result.is_err());
    result
}

#[expect(clippy::print_stderr, reason = "the output of a test that failed")]
fn tell(text: &str) {
    eprintln!("{text}");
}
