import { styleText } from 'node:util'
import { printable } from '../util/printable.js'

/** One of the two streams that a command writes to. */
export interface Output {
  write(text: string): unknown
  readonly isTTY?: boolean
}

/** What a command uses of its process. Tests pass objects of their own. */
export interface Io {
  /** Standard output: the result of the command. */
  readonly out: Output
  /** Standard error: progress, warnings, errors. */
  readonly err: Output
  readonly env: Readonly<Record<string, string | undefined>>
  /** Resolves with a person's answer; undefined if the input is no terminal. */
  readonly ask: ((question: string) => Promise<string>) | undefined
  /** Aborts on Ctrl-C or SIGTERM, for the command to end in order. */
  readonly interrupted: AbortSignal
}

/** The exit codes of commands. A second Ctrl-C exits with 130. */
export const exitCodes = {
  done: 0,
  /** A check failed, an answer was wrong, or an operation failed. */
  failed: 1,
  /** The arguments of the command are wrong. */
  usage: 2,
} as const

/** Thrown to end a command. The message is printed on one line; it is empty if the command has printed why. */
export class Exit extends Error {
  readonly exitCode: number

  constructor(exitCode: number, message: string) {
    super(message)
    this.exitCode = exitCode
  }
}

export function usage(message: string): Exit {
  return new Exit(exitCodes.usage, message)
}

export function failure(message = ''): Exit {
  return new Exit(exitCodes.failed, message)
}

/** An error's message, after its name unless that is just `Error`. */
export function textOf(error: unknown): string {
  return String(error).replace(/^Error: /, '')
}

type Style = Parameters<typeof styleText>[0]
export type Paint = (style: Style, text: string) => string

/** Colours for a terminal whose user did not decline them. See https://no-color.org. */
export function painter(output: Output, env: Io['env']): Paint {
  const isWanted = output.isTTY === true && (env.NO_COLOR ?? '') === '' && env.TERM !== 'dumb'
  return (style, text) => (isWanted ? styleText(style, text, { validateStream: false }) : text)
}

export function print(output: Output, ...lines: readonly string[]): void {
  output.write(lines.map((line) => `${line}\n`).join(''))
}

/** Characters that `JSON.stringify` does not escape and that change how a terminal shows a line. */
const obeyed = /[\u007F-\u009F\p{Bidi_Control}\p{Zl}\p{Zp}]/gu

export function printJson(output: Output, value: unknown, indent = 2): void {
  const json = JSON.stringify(value, undefined, indent)
  const escaped = json.replace(obeyed, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`)
  print(output, escaped)
}

/** Lines of aligned columns. Cells may be strings from outside. */
export function table(rows: readonly (readonly string[])[]): string[] {
  const shown = rows.map((row) => row.map(printable))
  const widths: number[] = []
  for (const row of shown) for (const [at, cell] of row.entries()) widths[at] = Math.max(widths[at] ?? 0, cell.length)
  return shown.map((row) =>
    row
      .map((cell, at) => (at === row.length - 1 ? cell : cell.padEnd(widths[at] ?? 0)))
      .join('  ')
      .trimEnd(),
  )
}

/** 12345 -> 12,345 */
export function figure(value: number, digits = 0): string {
  return value.toLocaleString('en-US', { maximumFractionDigits: digits })
}
