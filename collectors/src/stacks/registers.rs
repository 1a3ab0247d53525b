//! The registers of interrupted code, by their DWARF numbers.

/// Registers that unwind tables may name, and the program counter.
#[derive(Clone, Copy, Debug)]
pub(super) struct Registers {
    /// The program counter.
    pub(super) pc: u64,
    /// By DWARF number.
    pub(super) values: [u64; Registers::COUNT],
}

#[cfg(target_arch = "x86_64")]
mod arch {
    use super::Registers;

    /// `libc`'s places of the registers in DWARF's order: rax, rdx, rcx, rbx, rsi, rdi, rbp, rsp, r8 to r15.
    const PLACES: [i32; Registers::COUNT] = [
        libc::REG_RAX,
        libc::REG_RDX,
        libc::REG_RCX,
        libc::REG_RBX,
        libc::REG_RSI,
        libc::REG_RDI,
        libc::REG_RBP,
        libc::REG_RSP,
        libc::REG_R8,
        libc::REG_R9,
        libc::REG_R10,
        libc::REG_R11,
        libc::REG_R12,
        libc::REG_R13,
        libc::REG_R14,
        libc::REG_R15,
    ];

    impl Registers {
        /// Registers that are kept.
        pub(crate) const COUNT: usize = 16;
        /// The stack pointer's number.
        pub(crate) const SP: usize = 7;
        /// The return address' number.
        pub(crate) const RETURN: u16 = 16;

        /// What the kernel saved for a signal's handler.
        pub(crate) fn of_context(context: &libc::ucontext_t) -> Self {
            let saved = &context.uc_mcontext.gregs;
            let mut values = [0; Self::COUNT];
            let mut number = 0;
            while number < Self::COUNT {
                values[number] = saved[PLACES[number] as usize] as u64;
                number += 1;
            }
            Self { pc: saved[libc::REG_RIP as usize] as u64, values }
        }
    }
}

#[cfg(target_arch = "aarch64")]
mod arch {
    use super::Registers;

    impl Registers {
        /// Registers that are kept: x0 to x30, and the stack pointer.
        pub(crate) const COUNT: usize = 32;
        /// The stack pointer's number.
        pub(crate) const SP: usize = 31;
        /// The return address' number: x30.
        pub(crate) const RETURN: u16 = 30;

        /// What the kernel saved for a signal's handler.
        pub(crate) fn of_context(context: &libc::ucontext_t) -> Self {
            let saved = &context.uc_mcontext;
            let mut values = [0; Self::COUNT];
            let mut number = 0;
            while number < Self::SP {
                values[number] = saved.regs[number];
                number += 1;
            }
            values[Self::SP] = saved.sp;
            Self { pc: saved.pc, values }
        }
    }
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
compile_error!("stacks are taken on x86_64 and aarch64: this architecture's registers are missing in registers.rs");

impl Registers {
    /// None at all.
    #[cfg(test)]
    pub(super) const EMPTY: Self = Self { pc: 0, values: [0; Self::COUNT] };

    /// The stack pointer.
    pub(super) fn sp(&self) -> u64 {
        self.values[Self::SP]
    }
}
