//! Whose cryptography this process's TLS is made of: rustls wants to be told before its first client.

/// Makes it the product's own, for the whole process.
pub(crate) fn install() {
    // A second caller finds the provider there already, which is as good.
    drop(rustls::crypto::ring::default_provider().install_default());
}
