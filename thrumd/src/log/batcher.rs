//! Questions that are asked while one is being answered are answered together.

use parking_lot::Mutex;
use tokio::sync::oneshot::{self, error::TryRecvError};

/// A queue of questions. Whoever has its turn takes all of them along.
pub(super) struct Batcher<Q, A> {
    queue: Mutex<Vec<(Q, oneshot::Sender<A>)>>,
    turn: tokio::sync::Mutex<()>,
}

impl<Q, A> Default for Batcher<Q, A> {
    fn default() -> Self {
        Self { queue: Mutex::default(), turn: tokio::sync::Mutex::default() }
    }
}

impl<Q: Clone, A> Batcher<Q, A> {
    /// Asks a question. `answer_all` answers all that are in the queue when this one has its turn, in their order, if
    /// none before it has taken it along.
    ///
    /// # Errors
    /// Those of `answer_all`, which then are this caller's alone: the others ask again.
    pub(super) async fn ask<E, F: Future<Output = Result<Vec<A>, E>>>(
        &self,
        question: Q,
        answer_all: impl Fn(Vec<Q>) -> F,
    ) -> Result<A, E> {
        let mut answer = self.enqueue(question.clone());
        let _turn = self.turn.lock().await;
        loop {
            match answer.try_recv() {
                Ok(answer) => return Ok(answer),
                Err(TryRecvError::Empty) => {}
                // It was in a batch that failed.
                Err(TryRecvError::Closed) => answer = self.enqueue(question.clone()),
            }
            let batch = std::mem::take(&mut *self.queue.lock());
            let (questions, callers): (Vec<_>, Vec<_>) = batch.into_iter().unzip();
            for (caller, answer) in callers.into_iter().zip(answer_all(questions).await?) {
                // It may have stopped waiting.
                drop(caller.send(answer));
            }
        }
    }

    fn enqueue(&self, question: Q) -> oneshot::Receiver<A> {
        let (sender, answer) = oneshot::channel();
        self.queue.lock().push((question, sender));
        answer
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    /// Answers each question with its double, and notes which were answered together.
    async fn ask(
        batcher: Arc<Batcher<u32, u32>>,
        batches: Arc<Mutex<Vec<Vec<u32>>>>,
        question: u32,
    ) -> Result<u32, ()> {
        let answer_all = async |questions: Vec<u32>| {
            // The others ask meanwhile.
            tokio::task::yield_now().await;
            batches.lock().push(questions.clone());
            if questions == [0] { Err(()) } else { Ok(questions.iter().map(|it| it * 2).collect()) }
        };
        batcher.ask(question, answer_all).await
    }

    async fn ask_all(questions: std::ops::Range<u32>) -> (Vec<Result<u32, ()>>, Vec<Vec<u32>>) {
        let (batcher, batches) = (Arc::default(), Arc::default());
        let ask = |question| ask(Arc::clone(&batcher), Arc::clone(&batches), question);
        let tasks: Vec<_> = questions.map(|question| tokio::spawn(ask(question))).collect();
        let mut answers = Vec::new();
        for task in tasks {
            answers.push(task.await.unwrap());
        }
        let batches = batches.lock().clone();
        (answers, batches)
    }

    #[tokio::test]
    async fn what_is_asked_while_one_is_answered_is_answered_together() {
        let (answers, batches) = ask_all(1..300).await;
        assert_eq!(answers, (1..300).map(|it| Ok(it * 2)).collect::<Vec<_>>());
        assert_eq!(batches, [vec![1], (2..300).collect()]);
    }

    #[tokio::test]
    async fn a_question_that_fails_fails_for_its_caller_alone() {
        let (answers, _) = ask_all(0..3).await;
        assert_eq!(answers, [Err(()), Ok(2), Ok(4)]);
    }

    #[tokio::test]
    async fn a_caller_that_stops_waiting_holds_up_nobody() {
        let (batcher, batches) = (Arc::default(), Arc::default());
        let first = tokio::spawn(ask(Arc::clone(&batcher), Arc::clone(&batches), 1));
        tokio::task::yield_now().await;
        first.abort();
        assert!(first.await.is_err());
        assert_eq!(ask(batcher, batches, 2).await, Ok(4));
    }
}
