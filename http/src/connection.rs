//! One connection: hyper, its timeouts and its end.

use std::convert::Infallible;
use std::future::poll_fn;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Instant;

use futures_lite::FutureExt;
use http::header::HOST;
use http::{Method, Request, Response, StatusCode, Version};
use hyper::body::Incoming;
use hyper::service::service_fn;

use crate::body::{BodyError, Outgoing, RequestBody};
use crate::clock::RequestClock;
use crate::node;
use crate::registry::Place;
use crate::reply::Reply;
use crate::route::{Apis, Found};
use crate::server::Faces;
use crate::shard::Shard;
use crate::wire::{Io, Phase, Verdict, Wire};

/// Serves a connection until it ends, whoever ends it.
pub(crate) async fn serve(shard: Rc<Shard>, place: Place, faces: Faces) {
    let wire = place.wire();
    let end = converse(&shard, wire, faces).await;
    let state = wire.state();
    let linger = match end {
        End::Judged(Verdict::TimedOut(Phase::Head)) => {
            wire.answer(Reply::too_slow("The request's head did not arrive in time.")).await.is_ok()
        }
        End::Judged(Verdict::Cut | Verdict::WriteBlocked) => false,
        // hyper says nothing to what begins as HTTP/2, and to a head that ends early.
        End::NoHttp if !state.has_refused_input() && !state.is_answering() => {
            shard.stats.malformed.add(1);
            wire.answer(Reply::no_http()).await.is_ok()
        }
        End::Judged(Verdict::TimedOut(_)) | End::NoHttp | End::Done => state.has_refused_input(),
    };
    if linger {
        wire.linger(shard.limits.body_bytes_max).await;
    }
}

/// How a conversation ended.
enum End {
    /// As HTTP has it, or by the loss of the connection.
    Done,
    /// By a verdict.
    Judged(Verdict),
    /// With bytes that are no request.
    NoHttp,
}

/// Lets hyper serve until the connection is done, or is to be ended.
async fn converse(shard: &Rc<Shard>, wire: &Rc<Wire>, faces: Faces) -> End {
    let state = wire.state().clone();
    let service = service_fn({
        let (shard, wire) = (shard.clone(), wire.clone());
        move |request| answer(shard.clone(), wire.clone(), faces, request)
    });
    let mut connection = shard.protocol.serve_connection(Io::new(wire.clone()), service);
    let mut finishing = false;
    poll_fn(|cx| {
        state.remember_waker(cx);
        finishing |= state.take_finish();
        if finishing && !wire.awaits_request() {
            // An idle connection ends now, another one after its answer. A request that has begun to arrive, be it
            // only in the kernel's buffer, is waited for: it is answered, and then the connection ends.
            finishing = false;
            Pin::new(&mut connection).graceful_shutdown();
        }
        match state.verdict() {
            // The service answers.
            None | Some(Verdict::TimedOut(Phase::Body | Phase::Handling | Phase::Answering)) => {}
            Some(verdict) => {
                shard.count_verdict(verdict);
                return Poll::Ready(End::Judged(verdict));
            }
        }
        loop {
            let was_answering = state.is_answering();
            let done = Pin::new(&mut connection).poll(cx);
            let blocked = state.is_write_blocked();
            if done.is_pending() && finishing && !wire.awaits_request() {
                // The request has arrived.
                finishing = false;
                Pin::new(&mut connection).graceful_shutdown();
                continue;
            }
            if done.is_pending() && was_answering && !state.is_answering() {
                // A body that was held back can end in a flush after which hyper does not look at its input again,
                // although it has read the next request already. It is made to look.
                continue;
            }
            return match (done, wire.poll_send(cx)) {
                (Poll::Ready(Err(error)), _) => {
                    tracing::debug!("connection ended: {error}");
                    let no_http = error.is_parse() || error.is_incomplete_message();
                    Poll::Ready(if no_http { End::NoHttp } else { End::Done })
                }
                (_, Poll::Ready(Err(error))) => {
                    tracing::debug!("connection lost: {error}");
                    Poll::Ready(End::Done)
                }
                (Poll::Ready(Ok(())), Poll::Ready(Ok(()))) => Poll::Ready(End::Done),
                // A body was held back for the socket's sake, which now takes bytes again.
                (Poll::Pending, Poll::Ready(Ok(()))) if blocked && !state.is_write_blocked() => continue,
                (_, Poll::Pending) | (Poll::Pending, _) => Poll::Pending,
            };
        }
    })
    .await
}

/// Answers one request, in time and whatever the handler does.
async fn answer(
    shard: Rc<Shard>,
    wire: Rc<Wire>,
    faces: Faces,
    request: Request<Incoming>,
) -> Result<Response<Outgoing>, Infallible> {
    let clock = RequestClock::start();
    let state = wire.state().clone();
    state.request_begins(clock.begun());
    let (mut head, incoming) = request.into_parts();
    let mut body = RequestBody::new(incoming, state.clone(), shard.body_room.clone());
    let found = shard.apis.find(faces, &head.method, head.uri.path());
    let route = found.route();
    let refusal = refusal(&head);
    let is_stranger = refusal.is_none() && !shard.apis.admits(&found, &head.headers);
    let mut reply = if let Some(refusal) = refusal {
        refusal
    } else if is_stranger {
        shard.stats.unauthorized.add(1);
        shard.apis.guard().refusal()
    } else if head.uri.path_and_query().is_some_and(|uri| uri.as_str().len() > shard.limits.uri_bytes_max) {
        shard.stats.uris_too_long.add(1);
        Reply::fail(StatusCode::URI_TOO_LONG, "The request's path and query are too long.")
    } else if Apis::is_local(&found) && !wire.is_from_here() {
        node::not_from_here()
    } else {
        match found {
            Found::Route(_, call) => {
                let handling = AssertUnwindSafe(shard.apis.handle(call, &head, &mut body)).catch_unwind();
                let late = poll_fn(|_| state.poll_timed_out(Phase::Handling).map(|()| Ok(late_reply(&shard))));
                handling.or(late).await.unwrap_or_else(|_| panicked(&shard, &head))
            }
            Found::WrongMethod(_, allow) => Reply::wrong_method(&head.method, head.uri.path(), allow),
            Found::Nothing => Reply::not_found(head.uri.path()),
        }
    };
    if let Some(error) = body.failure() {
        shard.count_body_error(error);
    }
    body.skip_if_small().await;
    if body.is_unread() {
        // What is left of the body would be taken for the next request.
        reply.close = true;
        state.refuse_input();
    }
    // A request that comes and is answered within one turn is over before hyper is told to end.
    reply.close |= state.is_ending();
    let ended = Instant::now();
    let took = clock.until(ended);
    shard.stats.routes[route].record(reply.status, took.nanos());
    state.enter(Phase::Answering, ended);
    let headers = std::mem::take(&mut head.headers);
    let mut response = reply.into_response(headers, took, |body| Outgoing::new(body, state));
    if is_stranger {
        shard.apis.guard().challenge(response.headers_mut());
    }
    Ok(response)
}

/// What HTTP itself forbids (RFC 9112, 3.2), and what no client of this API but a stranger's web page would do: a
/// browser sends such requests without asking, to nodes that only its own machine can reach, too.
fn refusal(head: &http::request::Parts) -> Option<Reply> {
    let hosts = head.headers.get_all(HOST).iter().count();
    if hosts > 1 || (hosts == 0 && head.version == Version::HTTP_11) {
        return Some(Reply::bad_request("A request must name its host, once.").closing());
    }
    let changes = !matches!(head.method, Method::GET | Method::HEAD | Method::OPTIONS);
    let site = head.headers.get("sec-fetch-site");
    (changes && site.is_some_and(|site| site == "cross-site"))
        .then(|| Reply::fail(StatusCode::FORBIDDEN, "Web pages of other sites may not change anything here.").closing())
}

fn late_reply(shard: &Shard) -> Reply {
    shard.stats.timed_out(Phase::Handling);
    Reply::busy("The node did not finish the request in time, try again later.").closing()
}

fn panicked(shard: &Shard, head: &http::request::Parts) -> Reply {
    // The panic hook has logged where and why.
    tracing::error!("the handler of {} {} panicked", head.method, head.uri.path());
    shard.stats.panics.add(1);
    Reply::internal().closing()
}

impl Shard {
    fn count_verdict(&self, verdict: Verdict) {
        match verdict {
            Verdict::TimedOut(phase) => self.stats.timed_out(phase),
            Verdict::WriteBlocked => self.stats.write_timeouts.add(1),
            Verdict::Cut => self.stats.cut.add(1),
        }
    }

    fn count_body_error(&self, error: BodyError) {
        match error {
            BodyError::TooLarge(_) => self.stats.bodies_too_large.add(1),
            BodyError::NoRoom => self.stats.bodies_without_room.add(1),
            BodyError::TimedOut => self.stats.timed_out(Phase::Body),
            BodyError::Broken => self.stats.malformed.add(1),
        }
    }
}
