//! Bounds on what a config may cost to read.

/// Largest config text, included files counted one by one.
pub const TEXT_BYTES_MAX: usize = 4 << 20;

/// Deepest nesting of objects, lists and substitutions.
pub const DEPTH_MAX: usize = 64;

/// Most values that references may add to those of the text.
pub const VALUES_MAX: usize = 1 << 18;

/// Most bytes of text that references and variables may blow a config up to.
pub const EXPANDED_BYTES_MAX: usize = 16 << 20;

/// Files that may include one another in a chain.
pub const INCLUDE_DEPTH_MAX: usize = 8;

/// Files that one config may include in all.
pub const INCLUDE_FILES_MAX: usize = 64;

/// Bounds for one reading. The defaults are the constants of this module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one text, [`TEXT_BYTES_MAX`].
    pub text_bytes_max: usize,
    /// Nesting, [`DEPTH_MAX`]. A value above [`DEPTH_MAX`] counts as [`DEPTH_MAX`]: the stack is made for it.
    pub depth_max: usize,
    /// Values added by references, [`VALUES_MAX`].
    pub values_max: usize,
    /// Bytes of text after references and variables, [`EXPANDED_BYTES_MAX`].
    pub expanded_bytes_max: usize,
    /// Chain of includes, [`INCLUDE_DEPTH_MAX`].
    pub include_depth_max: usize,
    /// Included files in all, [`INCLUDE_FILES_MAX`].
    pub include_files_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            text_bytes_max: TEXT_BYTES_MAX,
            depth_max: DEPTH_MAX,
            values_max: VALUES_MAX,
            expanded_bytes_max: EXPANDED_BYTES_MAX,
            include_depth_max: INCLUDE_DEPTH_MAX,
            include_files_max: INCLUDE_FILES_MAX,
        }
    }
}

impl Limits {
    /// The nesting that is really allowed.
    pub(super) fn depth(&self) -> usize {
        self.depth_max.min(DEPTH_MAX)
    }
}
