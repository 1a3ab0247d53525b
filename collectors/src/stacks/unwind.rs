//! From a copied stack to the addresses of its frames, by the unwind tables.

use gimli::{
    CfaRule, EvaluationResult, Location, Register, RegisterRule, UnwindContext, UnwindExpression, UnwindSection, Value,
};
use gimli::{EhFrame, Encoding, Format};

use super::capture::Capture;
use super::modules::{Bytes, Modules, Unwinding};
use super::registers::Registers;

/// Most frames of a stack.
pub(super) const FRAMES_MAX: usize = 256;

/// The frames of a stack, innermost first.
#[derive(Debug, Default)]
pub(super) struct Frames {
    /// Addresses within the instructions that were being executed: of a caller, that is within its call.
    pub(super) addresses: Vec<u64>,
    /// The outermost frame is the thread's first.
    pub(super) complete: bool,
}

/// Unwinds a stack as far as its copy and the tables reach.
pub(super) fn unwind(capture: &Capture, modules: &Modules) -> Frames {
    let mut frames = Frames::default();
    let mut context = UnwindContext::new();
    let mut walker = Walker {
        registers: capture.registers,
        stack: Stack { start: capture.registers.sp() & !7, words: &capture.stack },
    };
    let mut address = walker.registers.pc;
    loop {
        frames.addresses.push(address);
        if frames.addresses.len() >= FRAMES_MAX {
            return frames;
        }
        let Some(module) = modules.at(address) else { return frames };
        let Some(unwinding) = modules.get(module).unwinding() else { return frames };
        match walker.step(&unwinding, &mut context, address) {
            Step::To(caller) => address = caller,
            Step::End => {
                frames.complete = true;
                return frames;
            }
            Step::Lost => return frames,
        }
    }
}

/// What a step has come to.
enum Step {
    /// An address within the caller's call.
    To(u64),
    /// There is no caller.
    End,
    /// The tables or the copy of the stack do not tell.
    Lost,
}

/// The copy of a stack.
struct Stack<'c> {
    start: u64,
    words: &'c [u64],
}

impl Stack<'_> {
    fn read(&self, address: u64) -> Option<u64> {
        let offset = address.checked_sub(self.start)?;
        let (word, shift) = (usize::try_from(offset / 8).ok()?, (offset % 8) * 8);
        let low = *self.words.get(word)?;
        if shift == 0 {
            return Some(low);
        }
        Some(low >> shift | self.words.get(word + 1)? << (64 - shift))
    }
}

struct Walker<'c> {
    registers: Registers,
    stack: Stack<'c>,
}

impl Walker<'_> {
    /// To the caller of the frame at `address`.
    fn step(&mut self, unwinding: &Unwinding<'_>, context: &mut UnwindContext<usize>, address: u64) -> Step {
        let Some(table) = unwinding.index.table() else { return Step::Lost };
        let (frames, bases) = (&unwinding.frames, unwinding.bases);
        let Ok(entry) = table.fde_for_address(frames, bases, address, EhFrame::cie_from_offset) else {
            return Step::Lost;
        };
        let encoding = Encoding { address_size: 8, format: Format::Dwarf32, version: 4 };
        let Ok(row) = entry.unwind_info_for_address(frames, bases, context, address) else { return Step::Lost };
        let evaluate = |expression: &UnwindExpression<usize>, initial: Option<u64>| {
            self.evaluate(expression.get(frames).ok()?, encoding, initial)
        };
        let cfa = match row.cfa() {
            CfaRule::RegisterAndOffset { register, offset } => {
                self.register(*register).map(|value| value.wrapping_add_signed(*offset))
            }
            CfaRule::Expression(expression) => evaluate(expression, None),
        };
        let Some(cfa) = cfa else { return Step::Lost };
        let value = |register: Register, rule: Option<RegisterRule<usize>>| match rule {
            // Not said: a callee keeps it.
            None | Some(RegisterRule::SameValue) => self.register(register),
            Some(RegisterRule::Offset(offset)) => self.stack.read(cfa.wrapping_add_signed(offset)),
            Some(RegisterRule::ValOffset(offset)) => Some(cfa.wrapping_add_signed(offset)),
            Some(RegisterRule::Register(other)) => self.register(other),
            Some(RegisterRule::Expression(expression)) => self.stack.read(evaluate(&expression, Some(cfa))?),
            Some(RegisterRule::ValExpression(expression)) => evaluate(&expression, Some(cfa)),
            Some(RegisterRule::Constant(value)) => Some(value),
            Some(RegisterRule::Undefined | RegisterRule::Architectural) => None,
        };
        let return_register = entry.cie().return_address_register();
        let return_rule = row.register(return_register);
        if return_rule == Some(RegisterRule::Undefined) {
            return Step::End;
        }
        // On x86_64 the return address is no register: it is somewhere, or there is none.
        if return_rule.is_none() && usize::from(return_register.0) >= Registers::COUNT {
            return Step::End;
        }
        let Some(caller) = value(return_register, return_rule).map(without_signature) else { return Step::Lost };
        let mut registers = Registers { pc: caller, values: self.registers.values };
        for (number, place) in registers.values.iter_mut().enumerate() {
            let register = Register(number as u16);
            // One that is lost is only missed if a frame further out needs it.
            *place = value(register, row.register(register)).unwrap_or(0);
        }
        registers.values[Registers::SP] = cfa;
        // A frame that does not shrink the stack would go on for ever; only the innermost may.
        if cfa < self.registers.sp() || (cfa == self.registers.sp() && caller == self.registers.pc) {
            return Step::Lost;
        }
        self.registers = registers;
        if caller == 0 { Step::End } else { Step::To(if entry.is_signal_trampoline() { caller } else { caller - 1 }) }
    }

    fn register(&self, register: Register) -> Option<u64> {
        match self.registers.values.get(usize::from(register.0)) {
            Some(value) => Some(*value),
            None if register.0 == Registers::RETURN => Some(self.registers.pc),
            None => None,
        }
    }

    fn evaluate(
        &self,
        expression: gimli::Expression<Bytes<'_>>,
        encoding: Encoding,
        initial: Option<u64>,
    ) -> Option<u64> {
        let mut evaluation = expression.evaluation(encoding);
        evaluation.set_max_iterations(EXPRESSION_STEPS_MAX);
        if let Some(initial) = initial {
            evaluation.set_initial_value(initial);
        }
        let mut result = evaluation.evaluate().ok()?;
        loop {
            result = match result {
                EvaluationResult::Complete => break,
                EvaluationResult::RequiresMemory { address, size, .. } => {
                    let word = self.stack.read(address)?;
                    let kept = u64::MAX.checked_shr(64_u32.saturating_sub(u32::from(size) * 8)).unwrap_or(0);
                    evaluation.resume_with_memory(Value::Generic(word & kept)).ok()?
                }
                EvaluationResult::RequiresRegister { register, .. } => {
                    evaluation.resume_with_register(Value::Generic(self.register(register)?)).ok()?
                }
                _ => return None,
            };
        }
        match evaluation.result().first()?.location {
            Location::Address { address } => Some(address),
            _ => None,
        }
    }
}

/// Operations of an unwind expression: those of linkage tables have ten.
const EXPRESSION_STEPS_MAX: u32 = 1000;

/// On aarch64 a return address may carry a signature in the bits that no address has.
fn without_signature(address: u64) -> u64 {
    if cfg!(target_arch = "aarch64") { address & (u64::MAX >> 16) } else { address }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::super::capture::capture;
    use super::*;

    #[test]
    fn words_are_read_at_any_address_within_the_copy() {
        let words = [0x0807_0605_0403_0201, 0x100f_0e0d_0c0b_0a09];
        let stack = Stack { start: 4096, words: &words };
        assert_eq!(stack.read(4096), Some(words[0]));
        assert_eq!(stack.read(4097), Some(0x0908_0706_0504_0302));
        assert_eq!((stack.read(4104), stack.read(4105)), (Some(words[1]), None));
        assert_eq!((stack.read(4095), stack.read(u64::MAX)), (None, None));
    }

    /// A recursion of a known depth; the optimizer must not turn it into a loop.
    #[inline(never)]
    fn descend(depth: usize, bottom: &mut dyn FnMut()) -> usize {
        if depth == 0 {
            bottom();
            return 0;
        }
        std::hint::black_box(descend(depth - 1, bottom)) + 1
    }

    #[test]
    fn a_recursion_has_a_frame_for_each_call_and_the_stack_ends_at_the_threads_first() {
        let mut modules = Modules::default();
        modules.renew();
        let mut frames = Frames::default();
        let depth = descend(100, &mut || {
            // SAFETY: the call takes nothing and cannot fail.
            let own = unsafe { libc::gettid() };
            let taken = capture(&[own], Instant::now() + Duration::from_secs(60)).remove(0).expect("a stack");
            frames = unwind(&taken, &modules);
        });
        assert_eq!(depth, 100);
        assert!(frames.complete, "{:x?}", frames.addresses);
        let start = descend as *const () as u64;
        let most = frames.addresses.iter().filter(|address| (start..start + 1000).contains(address)).count();
        assert!((101..=104).contains(&most), "{most} of {}", frames.addresses.len());
    }

    #[test]
    fn a_recursion_that_is_too_deep_is_cut() {
        let mut modules = Modules::default();
        modules.renew();
        let mut frames = Frames::default();
        descend(2000, &mut || {
            // SAFETY: the call takes nothing and cannot fail.
            let own = unsafe { libc::gettid() };
            let taken = capture(&[own], Instant::now() + Duration::from_secs(60)).remove(0).expect("a stack");
            frames = unwind(&taken, &modules);
        });
        assert_eq!((frames.addresses.len(), frames.complete), (FRAMES_MAX, false));
    }

    #[test]
    fn a_stack_of_rubbish_ends() {
        let mut modules = Modules::default();
        modules.renew();
        let mut registers = Registers::EMPTY;
        registers.pc = a_stack_of_rubbish_ends as *const () as u64;
        for word in [0, 1, registers.pc, u64::MAX] {
            registers.values = [word; Registers::COUNT];
            let capture = Capture { registers, stack: vec![word; 1000] };
            assert!(unwind(&capture, &modules).addresses.len() <= FRAMES_MAX);
        }
        registers.pc = 0;
        assert_eq!(unwind(&Capture { registers, stack: Vec::new() }, &modules).addresses, [0]);
    }
}
