//! What a hostile machine does.

macro_rules! acts {
    ($($(#[$about:meta])* $group:ident: [$($(#[$doc:meta])* $act:ident,)*])*) => {
        /// One hostile act.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Act { $($($(#[$doc])* $act,)*)* }
        $($(#[$about])* pub const $group: &[Act] = &[$(Act::$act,)*];)*
        /// All of them.
        pub const ALL: &[&[Act]] = &[$($group,)*];
    };
}

acts! {
    /// To the runs of a page or of a notification.
    RUNS: [
        /// A digit of an event is another one.
        DigitChanged,
        /// A signature ends in zeros.
        SignatureCut,
        /// A run has the signature of another one.
        SignatureOfAnother,
        /// Whatever a run says is signed with the hostile key: right for its own, wrong for all others.
        SignedWithOwnKey,
        /// The chain before a run is another one.
        ChainJumps,
        /// Two events of a run change places.
        EventsReordered,
        /// An event of a run is left out.
        EventLeftOut,
        /// An event of a run is there twice.
        EventTwice,
        /// A run has no events.
        RunEmptied,
        /// A run begins in its middle, and is proved.
        RunBeginsInMiddle,
        /// A run ends before what its signature proves.
        RunEndsEarly,
        /// A run is there a second time, from its middle on.
        RunOverlaps,
        /// A run is withheld.
        RunWithheld,
        /// Two runs change places.
        RunsReordered,
        /// Two runs are one, with the signature of the second.
        RunsJoined,
        /// An event that an honest machine will write next, signed with the hostile key.
        InTheNameOfAnother,
        /// The first event of a new epoch of an honest machine, signed with the hostile key.
        EpochOfAnother,
        /// An event in the name of an honest machine at the end of a run that the hostile key has signed.
        Smuggled,
        /// An own event under the id of another one, which is often of another machine.
        IdOfAnother,
        /// An own origin whose chain begins otherwise than with its start.
        FalseStart,
        /// A true run of the machine that it is sent to, or of any other.
        Echo,
        /// The next event on one of two histories of the same own origin, each of which is told to other machines.
        Fork,
        /// An event of an own origin whose first events nobody gets, sometimes at the last possible position.
        Gap,
        /// An origin with a key of its own.
        Ghost,
        /// A run that was made for somebody else before.
        MadeBefore,
    ]
    /// To a page in answer to a pull.
    PAGES: [
        /// The page says that there is more, or that there is not.
        FalseMore,
        /// The page says that it ends elsewhere.
        FalseNext,
        /// The page says that the log ends elsewhere.
        FalseHead,
        /// The page says that the puller's log is held up to another position.
        FalseHeldOfPage,
        /// The page says that the log is of another epoch.
        FalseEpoch,
        /// The events of the page are said to be at other positions of the log.
        FalsePositions,
        /// An earlier page in place of this one, perhaps one for somebody else.
        StalePage,
        /// An error in place of the page.
        PageRefused,
        /// No answer.
        PageWithheld,
    ]
    /// To the answer to a notification.
    ANSWERS: [
        /// The answer confirms another position.
        FalseConfirmation,
        /// An error in place of the answer.
        NotificationRefused,
        /// No answer.
        AnswerWithheld,
    ]
    /// To a notification.
    NOTIFICATIONS: [
        /// The log is said to end elsewhere.
        FalseLatest,
        /// The news is said to begin elsewhere: often right where the receiver's checkpoint is.
        FalseAfter,
        /// Heads of any origins, with random chains and positions.
        FalseHeads,
        /// Without heads.
        NoHeads,
        /// The receiver's log is said to be held up to another position.
        FalseHeldOfNotification,
        /// The notification is said to be of somebody else.
        AnotherSender,
        /// The receiver is said to be no peer any more.
        Removal,
        /// An earlier notification in place of this one.
        StaleNotification,
    ]
    /// To a pull.
    PULLS: [
        /// From a position that was never given.
        ForeignPosition,
        /// With heads of any origins, with random chains and positions.
        FalseHave,
        /// With another limit.
        AnotherLimit,
    ]
}
