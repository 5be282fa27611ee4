import type { Io, Output } from '../../lib/cli/io.js'
import { run } from '../../lib/cli/program.js'

export interface Ran {
  readonly exitCode: number
  readonly out: string
  readonly err: string
}

export interface Setting {
  readonly env?: Io['env']
  /** Whether both streams are a terminal. */
  readonly isTerminal?: boolean
  /** The answer to a question. Without it the input is no terminal. */
  readonly answer?: string
  readonly interrupted?: AbortSignal
  /** Called with the whole output so far, after each write. */
  readonly watch?: (out: string) => void
}

/** Runs a command line in this process, with streams of the test instead of those of the process. */
export async function cli(
  argv: readonly string[],
  { env = {}, isTerminal = false, answer, interrupted = new AbortController().signal, watch }: Setting = {},
): Promise<Ran & { readonly questions: readonly string[] }> {
  const texts = { out: '', err: '' }
  const questions: string[] = []
  const output = (name: 'out' | 'err'): Output => ({
    isTTY: isTerminal,
    write(text) {
      texts[name] += text
      if (name === 'out') watch?.(texts.out)
    },
  })
  const exitCode = await run(argv, {
    out: output('out'),
    err: output('err'),
    env,
    interrupted,
    ask:
      answer === undefined
        ? undefined
        : (question) => {
            questions.push(question)
            return Promise.resolve(answer)
          },
  })
  return { exitCode, ...texts, questions }
}
