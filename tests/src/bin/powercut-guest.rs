//! The one process of the virtual machine whose power is cut; see `tillbind_tests::powercut`.

fn main() -> anyhow::Result<()> {
    tillbind_tests::powercut::guest::serve()
}
