//! What is found besides entries and authorities.

use crate::node::{Problem, Trust};

/// What is wrong besides entries and authorities.
#[derive(Default)]
pub(super) struct Findings {
    pub(super) problems: Vec<Problem>,
    pub(super) trusts: Vec<Trust>,
}

impl Findings {
    /// Whom a kubeconfig trusts, and what is wrong with that.
    pub(super) fn trust(&mut self, trust: Option<Trust>) {
        let problem = trust.as_ref().and_then(|trust| trust.problem.clone());
        self.problems.extend(problem);
        self.trusts.extend(trust);
    }

    /// Something that was to be looked at and was not.
    pub(super) fn unseen(&mut self, problem: Problem) {
        self.problems.push(problem);
    }
}
