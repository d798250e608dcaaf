//! Pairs the two by the very calls that `peer add` and `peer join` make.

use thrum_api::local::{
    PairingNews, PeerAdd, PeerJoin, PeerJoinParams, PeerResolve, PeerResolveParams, PeerWait,
    PeerWaitParams, Status,
};
use thrum_api::method::Empty;

use super::machine::{Machine, failed};
use crate::client::Client;
use crate::error::Error;

/// Pairs them; both know each other's address then, and keep their own.
pub async fn pair(a: &mut Machine, b: &mut Machine) -> Result<(), Error> {
    let (mut on_a, mut on_b) = (a.client().await?, b.client().await?);
    let session = on_a.call::<PeerAdd>(&Empty {}).await?;
    // By its address: nobody gave these two machines names that could be looked up.
    let address = address(&mut on_a).await?;
    on_b.call::<PeerResolve>(&PeerResolveParams { address: address.clone() }).await?;
    let joining = PeerJoinParams { address, code: Some(session.code) };
    let waiting = PeerWaitParams { session: session.session, seen: 0 };
    let (joined, news) =
        tokio::try_join!(on_b.call::<PeerJoin>(&joining), on_a.call::<PeerWait>(&waiting))?;
    match news {
        PairingNews::Paired { name, .. } if name == b.name && joined.name == a.name => {}
        other => {
            return Err(failed(format!("pairing ended otherwise on {}: {other:?}", a.name)));
        }
    }
    a.keep_port(port(&mut on_a).await?);
    b.keep_port(port(&mut on_b).await?);
    Ok(())
}

/// Where it listens for peers.
async fn address(client: &mut Client) -> Result<String, Error> {
    let listening = client.call::<Status>(&Empty {}).await?.tailnet.listening;
    listening.into_iter().next().ok_or_else(|| failed("a daemon listens nowhere for peers"))
}

async fn port(client: &mut Client) -> Result<u16, Error> {
    let address = address(client).await?;
    let port = address.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
    port.ok_or_else(|| failed(format!("{address} has no port")))
}
