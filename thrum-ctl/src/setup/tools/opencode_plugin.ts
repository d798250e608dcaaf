// Written by `thrum init opencode`; `thrum init opencode --undo` removes it.
//
// Tells thrum what the sessions of OpenCode do, and puts messages of other agents where the model sees them. Every decision is
// made by `thrum hook`. Without that program on PATH this plugin does nothing.
import { spawn, type ChildProcess } from "node:child_process"
import { createInterface } from "node:readline"

const LIMIT_MS = 5000
const LISTEN_AGAIN_MS = 10000

export const Thrum = async ({ client, directory }: any) => {
  const children = new Set<string>() // sessions of subagents
  const primed = new Map<string, Promise<string>>() // what a session is told at its start
  const interrupted = new Set<string>() // sessions whose turn a person has stopped
  const kept = new Map<string, string>() // texts that were answered and not shown yet: they count as read
  let listener: ChildProcess | undefined

  // Runs a hook with what is known as JSON on its stdin. Answers the text that it has for the model, if any.
  const hook = (point: string, session: string, more: object = {}) =>
    new Promise<string>((resolve) => {
      let out = ""
      try {
        const child = spawn("thrum", ["hook", "opencode", point], {
          cwd: directory,
          stdio: ["pipe", "pipe", "ignore"],
        })
        const limit = setTimeout(() => child.kill(), LIMIT_MS)
        child.on("error", () => {
          clearTimeout(limit)
          resolve("")
        })
        child.stdin.on("error", () => {})
        child.stdout.on("data", (data: Buffer) => (out += data))
        child.on("close", () => {
          clearTimeout(limit)
          try {
            resolve(JSON.parse(out).text ?? "")
          } catch {
            resolve("")
          }
        })
        child.stdin.end(JSON.stringify({ session_id: session, cwd: directory, ...more }))
      } catch {
        resolve("")
      }
    })

  // Begins a turn with a text. Answers whether OpenCode took it.
  const prompt = async (session: string, text: string) => {
    for (let tries = 0; tries < 2; tries++) {
      try {
        const taken = await client.session.promptAsync({
          path: { id: session },
          body: { parts: [{ type: "text", text }] },
        })
        if (!taken?.error) return true
      } catch {}
    }
    return false
  }

  // Waits for what wakes sessions: a line of JSON each. Ends at once if the person has not asked for it.
  const listen = () => {
    try {
      const child = spawn("thrum", ["hook", "opencode", "listen"], {
        cwd: directory,
        stdio: ["pipe", "pipe", "ignore"],
      })
      child.on("error", () => {})
      child.on("close", (code) => {
        // It ends with 0 where nobody asked for waking.
        if (code === 0) return
        const again = () => {
          listener = undefined
          for (const session of primed.keys()) tell(session)
        }
        setTimeout(again, LISTEN_AGAIN_MS).unref()
      })
      child.stdin.on("error", () => {})
      createInterface({ input: child.stdout }).on("line", (line) => {
        try {
          const wake = JSON.parse(line)
          if (wake.session && wake.text) void prompt(wake.session, wake.text)
        } catch {}
      })
      return child
    } catch {}
  }

  // Tells the listener that a session has begun or ended. The pipe stays open: its end is the end of this process.
  const tell = (session: string, more: object = {}) => {
    listener ??= listen()
    if (listener?.stdin?.writable)
      listener.stdin.write(JSON.stringify({ session_id: session, cwd: directory, ...more }) + "\n")
  }

  // For the next place in this session.
  const keep = (session: string, text: string) => {
    kept.set(session, [kept.get(session), text].filter(Boolean).join("\n\n"))
  }

  // Runs a hook whose text has a place. What was kept comes before.
  const hookWithPlace = async (point: string, session: string, more: object) => {
    const text = await hook(point, session, more)
    const before = kept.get(session)
    kept.delete(session)
    return [before, text].filter(Boolean).join("\n\n")
  }

  const start = (session: string) => {
    const known = primed.get(session)
    if (known) return known
    const text = hook("session-start", session)
    primed.set(session, text)
    // The listener asks for a session that thrumd knows.
    void text.then(() => tell(session))
    return text
  }

  const end = async (session: string) => {
    kept.delete(session)
    if (!primed.delete(session)) return
    tell(session, { ended: true })
    await hook("session-end", session)
  }

  return {
    event: async ({ event }: any) => {
      const it = event.properties ?? {}
      const session = it.sessionID ?? it.info?.id
      if (event.type === "session.created" && it.info?.parentID) children.add(it.info.id)
      if (!session || children.has(session)) return
      if (event.type === "session.created") await start(session)
      if (event.type === "session.deleted") await end(session)
      if (event.type === "session.error" && it.error?.name === "MessageAbortedError") interrupted.add(session)
      if (event.type === "session.idle") {
        const text = await hook(interrupted.delete(session) ? "interrupt" : "stop", session)
        if (text && !(await prompt(session, text))) keep(session, text)
      }
    },
    "chat.message": async (input: any, output: any) => {
      const session = input.sessionID ?? output.message?.sessionID
      if (!session || children.has(session)) return
      await start(session)
      const parts = output.parts ?? []
      // A part that is there already has the ids that OpenCode gave it. Without one nothing is asked for: what a hook
      // answers counts as read.
      const part = parts.findLast((part: any) => part.type === "text" && typeof part.text === "string")
      if (!part) return
      const typed = parts.map((part: any) => (part.type === "text" ? part.text : "")).join("\n")
      const text = await hookWithPlace("prompt", session, { prompt: typed })
      if (text) part.text += "\n\n" + text
    },
    "tool.execute.after": async (input: any, output: any) => {
      if (!input.sessionID || children.has(input.sessionID)) return
      // What an MCP server answers has the form of MCP.
      const listed = Array.isArray(output?.content)
      if (!listed && typeof output?.output !== "string") return
      const more = { tool: input.tool, tool_input: input.args }
      const text = await hookWithPlace("step", input.sessionID, more)
      if (!text) return
      if (listed) output.content.push({ type: "text", text })
      else output.output += "\n\n" + text
    },
    "experimental.chat.system.transform": async (input: any, output: any) => {
      const only = primed.size === 1 ? [...primed.values()][0] : undefined
      const text = await (input?.sessionID ? primed.get(input.sessionID) : only)
      if (text) output.system.push(text)
    },
  }
}
