//! Pairs the two machines with the calls of `peer add` and `peer join`.

use thrum_api::local::{
    PairingUpdate, PeerAdd, PeerJoin, PeerJoinParams, PeerResolve, PeerResolveParams, PeerWait,
    PeerWaitParams, Status,
};
use thrum_api::method::Empty;

use super::machine::{Machine, failed};
use crate::client::Client;
use crate::error::Error;

/// Pairs the machines. Both keep their port from then on.
pub async fn pair(a: &mut Machine, b: &mut Machine) -> Result<(), Error> {
    let (mut on_a, mut on_b) = (a.client().await?, b.client().await?);
    let session = on_a.call::<PeerAdd>(&Empty {}).await?;
    // By address, because these machines have no names that can be resolved.
    let address = address(&mut on_a).await?;
    on_b.call::<PeerResolve>(&PeerResolveParams { address: address.clone() }).await?;
    let joining = PeerJoinParams { address, code: Some(session.code) };
    let waiting = PeerWaitParams { session: session.session, seen: 0 };
    let (joined, news) =
        tokio::try_join!(on_b.call::<PeerJoin>(&joining), on_a.call::<PeerWait>(&waiting))?;
    match news {
        PairingUpdate::Paired { name, .. } if name == b.name && joined.name == a.name => {}
        other => {
            return Err(failed(format!("pairing on {} ended unexpectedly: {other:?}", a.name)));
        }
    }
    a.keep_port(port(&mut on_a).await?);
    b.keep_port(port(&mut on_b).await?);
    Ok(())
}

/// The address on which a daemon listens for peers.
async fn address(client: &mut Client) -> Result<String, Error> {
    let listening = client.call::<Status>(&Empty {}).await?.tailnet.listening;
    listening.into_iter().next().ok_or_else(|| failed("a daemon does not listen for peers"))
}

async fn port(client: &mut Client) -> Result<u16, Error> {
    let address = address(client).await?;
    let port = address.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
    port.ok_or_else(|| failed(format!("{address} has no port")))
}
