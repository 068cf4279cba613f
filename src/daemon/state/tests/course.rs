//! What holds of every course that things may take.

use proptest::prelude::*;

use super::*;

/// What the event loop would be at.
struct Course {
    state: State,
    /// The effect from which the next signal comes.
    awaited: Effect,
    pass: Pass,
    now: Moment,
    was_asked_to_stop: bool,
    /// Operations that were begun.
    begun: usize,
}

impl Course {
    /// Right after the first look.
    fn new(pass: Pass) -> Self {
        Self::from(State::default(), pass)
    }

    /// As if what belongs to the state were in hand.
    fn from(state: State, pass: Pass) -> Self {
        let awaited = match state.about {
            About::Acting { .. } => Effect::Act,
            _ => Effect::Look(Look::Files),
        };
        Self {
            was_asked_to_stop: !state.minds_stop(),
            state,
            awaited,
            pass,
            now: start(),
            begun: 0,
        }
    }

    /// What may happen now. A look may show any pass.
    fn signals(&self) -> Vec<Signal> {
        let mut signals = match &self.awaited {
            Effect::Look(look) => vec![Signal::Looked(*look)],
            Effect::Tidy => vec![Signal::Tidied],
            Effect::Act => endings().into_iter().map(Signal::Ended).collect(),
            Effect::Settle => vec![Signal::Settled],
            Effect::Reload | Effect::ReloadIfChanged => vec![
                Signal::Configured { is_new: false },
                Signal::Configured { is_new: true },
            ],
            Effect::Rest(_) => vec![
                Signal::Again,
                Signal::Changed,
                Signal::Alone,
                Signal::Reload,
                Signal::Clock(Wake::Due),
                Signal::Clock(Wake::ClockChanged),
            ],
            Effect::End => Vec::new(),
            other => panic!("{other:?} is not awaited"),
        };
        if self.state.minds_stop() {
            signals.push(Signal::Stop);
        }
        signals
    }

    /// Lets `signal` happen, and looks whether what follows may follow.
    fn go(&mut self, signal: Signal) {
        let operation_runs = self.awaited == Effect::Act && !matches!(signal, Signal::Ended(_));
        let is_stop = signal == Signal::Stop;
        self.was_asked_to_stop |= is_stop;
        let said = format!("{:?} {signal:?}", self.state);
        let state = std::mem::take(&mut self.state);
        let (state, effects) = next(state, &self.pass, signal, self.now);
        self.state = state;
        let awaited: Vec<&Effect> = effects.iter().filter(|one| one.is_awaited()).collect();
        if operation_runs {
            assert!(is_stop, "{said}");
            assert_eq!(effects, [Effect::Cancel], "{said}");
        } else {
            assert_eq!(awaited.len(), 1, "{said}: {effects:?}");
            assert_eq!(effects.last(), Some(awaited[0]), "{said}: {effects:?}");
            self.awaited = awaited[0].clone();
        }
        self.judge(&effects, &said);
    }

    fn judge(&mut self, effects: &[Effect], said: &str) {
        if effects.contains(&Effect::Act) {
            self.begun += 1;
            assert!(!self.was_asked_to_stop, "begun after a stop: {said}");
            assert!(self.pass.has_work(), "nothing to do: {said}");
            assert!(self.pass.held().is_empty(), "held: {said}");
            assert!(!self.pass.others.at_work(), "another is at work: {said}");
            assert!(
                self.state.retry.permits(self.now.steady),
                "too soon: {said}"
            );
        }
        let acts = matches!(self.state.about, About::Acting { .. });
        assert_eq!(acts, self.awaited == Effect::Act, "{said}");
        let stops = self.state.about == About::Stopping;
        assert_eq!(stops, self.was_asked_to_stop && !acts, "{said}");
        if let Effect::Rest(rest) = &self.awaited {
            let scan = shifted(self.now.clock, SCAN_INTERVAL);
            assert!(rest.until <= scan, "no scan: {said}");
        }
    }

    /// Lets what is in hand come to its end, and rests pass, until the daemon rests `rests` times, acts or has ended.
    fn until_at_rest(&mut self, mut rests: usize) {
        for _ in 0..40 {
            match self.awaited {
                Effect::Act | Effect::End => return,
                Effect::Rest(_) if rests == 0 => return,
                Effect::Rest(rest) => {
                    rests -= 1;
                    let again = rest.again.unwrap_or(self.now.steady);
                    let pause = again.saturating_duration_since(self.now.steady);
                    self.now = Moment {
                        clock: self.now.clock + pause,
                        steady: self.now.steady + pause,
                    };
                }
                _ => {}
            }
            let signal = self.signals().swap_remove(0);
            self.go(signal);
        }
        panic!("comes to no rest: {:?}", self.state);
    }
}

fn endings() -> Vec<Ending> {
    let reason = || "no room".to_owned();
    vec![
        Ending::Done(vec!["20260101T000000Z".to_owned()]),
        Ending::Incomplete {
            operations: Vec::new(),
            fault: fault(),
        },
        Ending::Stopped(reason()),
        Ending::Busy(None),
        Ending::NotNow(None),
        Ending::NotNow(Some(fault())),
        Ending::RestartsWait(reason()),
        Ending::Failed {
            operations: Vec::new(),
            fault: fault(),
            disturbed: true,
        },
    ]
}

proptest! {
    /// Whatever happens, in whatever order: one thing is in hand at a time, no operation begins beside another, nor when it must
    /// not, and a stop is followed by nothing but the end.
    #[test]
    fn one_thing_is_in_hand_until_the_end(
        choices in prop::collection::vec((any::<u16>(), any::<u16>(), 0..90u64), 100..200),
        // A stop that is possible all the time comes at once; this lets it come anywhere.
        stop_at in 0..150usize,
    ) {
        let passes = passes();
        let mut course = Course::new(quiet());
        for (step, (signal, pass, seconds)) in choices.into_iter().enumerate() {
            let mut signals = course.signals();
            if course.state.minds_stop() && step < stop_at {
                signals.retain(|signal| *signal != Signal::Stop);
            } else if course.state.minds_stop() {
                signals = vec![Signal::Stop];
            } else if signals.is_empty() {
                break;
            }
            let signal = signals[usize::from(signal) % signals.len()].clone();
            if matches!(signal, Signal::Looked(_)) {
                course.pass = passes[usize::from(pass) % passes.len()].0.clone();
            }
            course.now.clock += Duration::from_secs(seconds);
            course.now.steady += Duration::from_secs(seconds);
            course.go(signal);
        }
        if course.state.minds_stop() {
            course.go(Signal::Stop);
        }
        let mut steps = 0;
        while let Some(signal) = course.signals().into_iter().next() {
            course.go(signal);
            steps += 1;
            assert!(steps <= 2, "stops slowly: {:?}", course.state);
        }
        assert_eq!(course.awaited, Effect::End);
    }
}

#[test]
fn each_state_is_left_for_an_operation_once_one_may_begin() {
    for about in ABOUT.into_iter().filter(|about| *about != About::Stopping) {
        let state = State { about, ..failed() };
        let mut course = Course::from(state, due());
        if course.awaited == Effect::Act {
            course.go(Signal::Ended(Ending::Busy(None)));
        }
        course.until_at_rest(1);
        if about == (About::Acting { cancelled: true }) {
            assert_eq!(course.awaited, Effect::End);
        } else {
            assert_eq!(
                (course.awaited, course.begun),
                (Effect::Act, 1),
                "{about:?}"
            );
        }
    }
}

#[test]
fn each_state_is_left_when_there_is_nothing_more_to_do() {
    for about in ABOUT
        .into_iter()
        .filter(|about| State::about(*about).minds_stop())
    {
        let mut course = Course::from(State::about(about), quiet());
        if course.awaited == Effect::Act {
            course.go(Signal::Ended(Ending::Done(Vec::new())));
        }
        course.until_at_rest(0);
        assert_eq!(
            (course.state.about, course.begun),
            (About::Idle, 0),
            "{about:?}"
        );
    }
}

#[test]
fn each_state_is_left_when_a_stop_is_asked_for() {
    for about in ABOUT {
        let mut course = Course::from(State::about(about), due());
        if course.state.minds_stop() {
            course.go(Signal::Stop);
        }
        if course.awaited == Effect::Act {
            course.go(Signal::Ended(Ending::Stopped("stopped".to_owned())));
        }
        course.until_at_rest(0);
        assert_eq!(
            (course.awaited, course.begun),
            (Effect::End, 0),
            "{about:?}"
        );
    }
}

#[test]
fn a_daemon_whose_attempts_fail_tries_less_and_less_often() {
    let mut course = Course::new(due());
    let mut last = None;
    for attempt in 1..6 {
        course.until_at_rest(1);
        assert_eq!((&course.awaited, course.begun), (&Effect::Act, attempt));
        let pause = last.map(|last| course.now.steady.duration_since(last));
        last = Some(course.now.steady);
        let least = Duration::from_secs(60 * 2u64.pow(u32::try_from(attempt).unwrap() - 1) / 2);
        assert!(
            pause.is_none_or(|pause| pause >= least),
            "{attempt}: {pause:?}"
        );
        course.go(Signal::Ended(Ending::Failed {
            operations: Vec::new(),
            fault: fault(),
            disturbed: false,
        }));
    }
}
