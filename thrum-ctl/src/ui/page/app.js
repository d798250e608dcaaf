// Exchanges the token, then shows the changes as they come.
const token = new URLSearchParams(location.hash.slice(1)).get("t");
history.replaceState(null, "", "/");
const log = document.getElementById("log");
const post = (path, body, bearer) => fetch(path, {
  method: "POST",
  headers: { "Content-Type": "application/json", ...(bearer && { Authorization: `Bearer ${bearer}` }) },
  body: JSON.stringify(body),
});
if (token) {
  const session = await (await post("/session", { token })).json();
  if (session.bearer) sessionStorage.setItem("bearer", session.bearer);
}
const bearer = sessionStorage.getItem("bearer");
const stream = await fetch("/changes", { headers: { Authorization: `Bearer ${bearer}` } });
const reader = stream.body.pipeThrough(new TextDecoderStream()).getReader();
for (let part = await reader.read(); !part.done; part = await reader.read()) {
  log.textContent += part.value;
}
