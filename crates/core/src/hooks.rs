//! What the functions that a model calls can find out about the forward pass they are called in.

use std::{any::Any, cell::RefCell, rc::Rc};

thread_local! {
    static HOOKS: RefCell<Option<Rc<dyn Any>>> = const { RefCell::new(None) };
}

/// The hooks of the forward pass that runs on this thread, if it has any and they are of type `H`.
///
/// For functions that a model calls and that do more while it is explained, as `burnsight-module` has them. They are in
/// reach of the thread that called the model, not of threads that the model starts.
pub fn hooks<H: Any>() -> Option<Rc<H>> {
    HOOKS.with_borrow(|hooks| hooks.clone()).and_then(|hooks| hooks.downcast().ok())
}

/// Runs a forward pass with these hooks in force, or none; those before are back afterwards, also after a panic.
pub(crate) fn with_hooks<T>(hooks: Option<Rc<dyn Any>>, forward: impl FnOnce() -> T) -> T {
    struct Restore(Option<Rc<dyn Any>>);
    impl Drop for Restore {
        fn drop(&mut self) {
            HOOKS.set(self.0.take());
        }
    }
    let _restore = Restore(HOOKS.replace(hooks));
    forward()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;

    fn number() -> Option<u8> {
        hooks::<u8>().map(|number| *number)
    }

    #[test]
    fn in_force_inside_only_and_back_after_a_panic() {
        assert_eq!(number(), None);
        with_hooks(Some(Rc::new(1u8)), || {
            assert_eq!((number(), hooks::<u16>().is_none()), (Some(1), true));
            with_hooks(None, || assert_eq!(number(), None));
            let inside = catch_unwind(AssertUnwindSafe(|| with_hooks(Some(Rc::new(2u8)), || panic!("{:?}", number()))));
            assert_eq!(inside.unwrap_err().downcast_ref::<String>().unwrap(), "Some(2)");
            assert_eq!(number(), Some(1));
            assert_eq!(std::thread::spawn(number).join().unwrap(), None);
        });
        assert_eq!(number(), None);
    }
}
