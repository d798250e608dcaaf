// Written by `thrum init opencode`; `thrum init opencode --undo` removes it.
//
// Tells thrum what the sessions of OpenCode do, and puts messages of other agents where the model sees them. Every decision is
// made by `thrum hook`. Without that program on PATH this plugin does nothing.
import { spawn, type ChildProcess } from "node:child_process"
import { createInterface } from "node:readline"

const LIMIT_MS = 5000

export const Thrum = async ({ client, directory }: any) => {
  const children = new Set<string>() // sessions of subagents
  const primed = new Map<string, Promise<string>>() // what a session is told at its start
  const interrupted = new Set<string>() // sessions whose turn a person has stopped
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
        child.on("error", () => resolve(""))
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

  const prompt = (session: string, text: string) =>
    client.session.promptAsync({
      path: { id: session },
      body: { parts: [{ type: "text", text }] },
    })

  // Waits for what wakes sessions: a line of JSON each. Ends at once if the person has not asked for it.
  const listen = () => {
    try {
      const child = spawn("thrum", ["hook", "opencode", "listen"], {
        cwd: directory,
        stdio: ["pipe", "pipe", "ignore"],
      })
      child.on("error", () => {})
      child.stdin.on("error", () => {})
      createInterface({ input: child.stdout }).on("line", (line) => {
        try {
          const wake = JSON.parse(line)
          if (wake.session && wake.text) void prompt(wake.session, wake.text).catch(() => {})
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
        if (text) await prompt(session, text).catch(() => {})
      }
    },
    "chat.message": async (input: any, output: any) => {
      const session = input.sessionID ?? output.message?.sessionID
      if (!session || children.has(session)) return
      await start(session)
      const parts = output.parts ?? []
      const typed = parts.map((part: any) => (part.type === "text" ? part.text : "")).join("\n")
      const text = await hook("prompt", session, { prompt: typed })
      // A part that is there already has the ids that OpenCode gave it.
      const part = parts.findLast((part: any) => part.type === "text")
      if (text && part) part.text += "\n\n" + text
    },
    "tool.execute.after": async (input: any, output: any) => {
      if (!input.sessionID || children.has(input.sessionID)) return
      const text = await hook("step", input.sessionID, { tool: input.tool, tool_input: input.args })
      if (!text) return
      // What an MCP server answers has the form of MCP.
      if (Array.isArray(output.content)) output.content.push({ type: "text", text })
      else if (typeof output.output === "string") output.output += "\n\n" + text
    },
    "experimental.chat.system.transform": async (input: any, output: any) => {
      const only = primed.size === 1 ? [...primed.values()][0] : undefined
      const text = await (input?.sessionID ? primed.get(input.sessionID) : only)
      if (text) output.system.push(text)
    },
  }
}
