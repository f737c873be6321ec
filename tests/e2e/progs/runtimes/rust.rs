// SPDX-License-Identifier: GPL-2.0-only
//! The Rust library's locks and waits, each a known number of times: rust WORKLOAD, facts as in ../facts.h. They stand on futexes of
//! their own, without glibc; no owner is written into them. Waiters are threads of C's, which the library takes as its own.
use std::ffi::{c_char, c_int, c_void, CString};
use std::mem::size_of_val;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Barrier, Condvar, LazyLock, Mutex, MutexGuard, Once, RwLock, RwLockWriteGuard};
use std::thread::Thread;

type SceneFn = extern "C" fn(*mut c_void) -> c_int;
type Body = extern "C" fn(*mut c_void) -> *mut c_void;

/// As in scene.h.
#[repr(C)]
struct Scene {
    workload: *const c_char,
    name: *const c_char,
    lock: *const c_void,
    address: *const c_void,
    size: usize,
    take: Option<SceneFn>,
    leave: Option<SceneFn>,
    wait: Option<SceneFn>,
    pass: Option<SceneFn>,
    around: Option<extern "C" fn(*mut c_void, Body, *mut c_void) -> c_int>,
    waiters: c_int,
    rounds: c_int,
    hold_ms: c_int,
    sleeps: c_int,
}

extern "C" {
    fn scene_main(argc: c_int, argv: *const *const c_char, scenes: *const Scene, nr: usize) -> c_int;
}

// ---- locks: a guard that outlives the function that took it is kept by its thread ----

static LEDGER: Mutex<u64> = Mutex::new(0);
static PRICES: RwLock<u64> = RwLock::new(0);

std::thread_local! {
    static HELD: std::cell::RefCell<Option<MutexGuard<'static, u64>>> = const { std::cell::RefCell::new(None) };
    static WRITTEN: std::cell::RefCell<Option<RwLockWriteGuard<'static, u64>>> = const { std::cell::RefCell::new(None) };
}

extern "C" fn mutex_lock(_: *mut c_void) -> c_int {
    let guard = LEDGER.lock().unwrap();
    HELD.with(|h| *h.borrow_mut() = Some(guard));
    0
}

extern "C" fn mutex_unlock(_: *mut c_void) -> c_int {
    HELD.with(|h| h.borrow_mut().take());
    0
}

extern "C" fn write(_: *mut c_void) -> c_int {
    let guard = PRICES.write().unwrap();
    WRITTEN.with(|w| *w.borrow_mut() = Some(guard));
    0
}

extern "C" fn written(_: *mut c_void) -> c_int {
    WRITTEN.with(|w| w.borrow_mut().take());
    0
}

extern "C" fn read(_: *mut c_void) -> c_int {
    let _price = *PRICES.read().unwrap();
    0
}

// ---- waiting for somebody's work ----

static QUEUE: Mutex<u32> = Mutex::new(0);
static FILLED: Condvar = Condvar::new();

extern "C" fn put(_: *mut c_void) -> c_int {
    let mut queued = QUEUE.lock().unwrap();
    *queued += 1;
    drop(queued); // the waiter finds its mutex free
    FILLED.notify_one();
    0
}

extern "C" fn get(_: *mut c_void) -> c_int {
    let mut queued = FILLED.wait_while(QUEUE.lock().unwrap(), |queued| *queued == 0).unwrap();
    *queued -= 1;
    0
}

static SLEEPER: Mutex<Option<Thread>> = Mutex::new(None);
static AWAKE: AtomicBool = AtomicBool::new(false);

extern "C" fn unpark(_: *mut c_void) -> c_int {
    let sleeper = SLEEPER.lock().unwrap().take().unwrap();
    AWAKE.store(true, Ordering::Release);
    sleeper.unpark();
    0
}

extern "C" fn park(_: *mut c_void) -> c_int {
    *SLEEPER.lock().unwrap() = Some(std::thread::current());
    while !AWAKE.swap(false, Ordering::Acquire) {
        std::thread::park();
    }
    0
}

static PHASE: LazyLock<Barrier> = LazyLock::new(|| Barrier::new(3));

extern "C" fn arrive(_: *mut c_void) -> c_int {
    PHASE.wait();
    0
}

static OPENED: Once = Once::new();

extern "C" fn open_once(_: *mut c_void, body: Body, arg: *mut c_void) -> c_int {
    OPENED.call_once(|| {
        body(arg);
    });
    0
}

extern "C" fn find_it_open(_: *mut c_void) -> c_int {
    OPENED.call_once(|| std::process::abort());
    0
}

static ANSWER: LazyLock<u64> = LazyLock::new(|| BODY.with(|b| b.take()).map_or(0, |(body, arg)| body(arg) as u64 + 42));

std::thread_local! {
    static BODY: std::cell::Cell<Option<(Body, *mut c_void)>> = const { std::cell::Cell::new(None) };
}

extern "C" fn work_it_out(_: *mut c_void, body: Body, arg: *mut c_void) -> c_int {
    BODY.with(|b| b.set(Some((body, arg))));
    (*ANSWER != 42) as c_int
}

extern "C" fn ask(_: *mut c_void) -> c_int {
    (*ANSWER != 42) as c_int
}

/// A scene of one holder, who runs or sleeps for that long, and its waiters.
fn scene<T>(workload: &str, name: &str, lock: &T, wait: SceneFn, waiters: c_int, rounds: c_int, hold_ms: c_int, sleeps: bool) -> Scene {
    let text = |s: &str| CString::new(s).unwrap().into_raw() as *const c_char; // kept to the end
    let lock_ptr = lock as *const T as *const c_void;
    Scene {
        workload: text(workload),
        name: text(name),
        lock: lock_ptr,
        address: lock_ptr,
        size: size_of_val(lock),
        take: None,
        leave: None,
        wait: Some(wait),
        pass: None,
        around: None,
        waiters,
        rounds,
        hold_ms,
        sleeps: sleeps as c_int,
    }
}

fn main() {
    let scenes = [
        Scene { take: Some(mutex_lock), leave: Some(mutex_unlock), pass: Some(mutex_unlock), ..scene("mutex", "rust::LEDGER", &LEDGER, mutex_lock, 2, 3, 8, false) },
        Scene { take: Some(write), leave: Some(written), ..scene("rwlock", "rust::PRICES", &PRICES, read, 2, 2, 10, true) },
        Scene { leave: Some(put), ..scene("condvar", "rust::FILLED", &FILLED, get, 1, 4, 8, false) },
        Scene { leave: Some(unpark), ..scene("park", "a parker", &SLEEPER, park, 1, 3, 10, true) },
        Scene { leave: Some(arrive), ..scene("barrier", "rust::PHASE", &PHASE, arrive, 2, 3, 8, false) },
        Scene { around: Some(open_once), ..scene("once", "rust::OPENED", &OPENED, find_it_open, 2, 1, 25, false) },
        Scene { around: Some(work_it_out), ..scene("lazy", "rust::ANSWER", &ANSWER, ask, 2, 1, 25, true) },
    ];
    let words: Vec<CString> = std::env::args().map(|a| CString::new(a).unwrap()).collect();
    let argv: Vec<*const c_char> = words.iter().map(|w| w.as_ptr()).collect();
    std::process::exit(unsafe { scene_main(argv.len() as c_int, argv.as_ptr(), scenes.as_ptr(), scenes.len()) });
}
