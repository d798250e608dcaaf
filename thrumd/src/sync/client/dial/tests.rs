use std::cell::{Cell, RefCell};

use super::*;

fn at(port: u16) -> SocketAddr {
    SocketAddr::from(([100, 64, 0, 1], port))
}

async fn answer(address: SocketAddr) -> io::Result<u16> {
    match address.port() {
        1 => std::future::pending().await,
        2 => Err(io::ErrorKind::ConnectionRefused.into()),
        3 => Err(io::ErrorKind::HostUnreachable.into()),
        port => Ok(port),
    }
}

#[tokio::test]
async fn a_silent_address_does_not_hold_up_the_next() {
    struct Tried<'a>(&'a Cell<bool>);
    impl Drop for Tried<'_> {
        fn drop(&mut self) {
            self.0.set(false);
        }
    }
    let silent_one_is_tried = Cell::new(false);
    let connect = async |address: SocketAddr| {
        let _tried = (address == at(1)).then(|| {
            silent_one_is_tried.set(true);
            Tried(&silent_one_is_tried)
        });
        if address == at(9) {
            assert!(silent_one_is_tried.get(), "the silent one was given up first");
        }
        answer(address).await
    };
    assert_eq!(race(&[at(1), at(9)], connect).await.unwrap().0, at(9));
}

#[tokio::test]
async fn one_that_refuses_gives_way_to_the_next() {
    assert_eq!(race(&[at(2), at(3), at(9)], answer).await.unwrap().0, at(9));
}

#[tokio::test]
async fn where_the_first_answers_no_other_is_asked() {
    let asked = RefCell::new(Vec::new());
    let connect = |address| {
        asked.borrow_mut().push(address);
        answer(address)
    };
    assert_eq!(race(&[at(8), at(9)], connect).await.unwrap().0, at(8));
    assert_eq!(*asked.borrow(), [at(8)]);
}

#[tokio::test]
async fn the_first_address_is_the_one_that_is_complained_of() {
    let error = race(&[at(1), at(2)], answer).await.unwrap_err().of("laptop");
    let words = "100.64.0.1:1 did not accept a connection within 5s";
    assert_eq!(error.to_string(), words);
    let error = race(&[at(2), at(3)], answer).await.unwrap_err().of("laptop");
    assert_eq!(error.to_string(), "can't connect to 100.64.0.1:2");
    let error = race(&[], answer).await.unwrap_err().of("laptop");
    assert!(error.to_string().starts_with("laptop is not in the tailnet"), "{error}");
}
