import { styleText } from 'node:util'
import { printable } from '../util/printable.js'

/** One of the two streams that a command writes to. */
export interface Output {
  write(text: string): unknown
  readonly isTTY?: boolean
  readonly columns?: number
}

/** All that a command has of the world beside the network and the disk. */
export interface Io {
  /** What was asked for. */
  readonly out: Output
  /** What is said about it: progress, warnings, errors. */
  readonly err: Output
  readonly env: Readonly<Record<string, string | undefined>>
  /** The answer to a question; undefined where nobody can be asked. */
  readonly ask: ((question: string) => Promise<string>) | undefined
  /** Aborts when the command is to end in order: Ctrl-C, SIGTERM. */
  readonly interrupted: AbortSignal
}

/** What a command ends with, but for 130: a second Ctrl-C. */
export const exitCodes = {
  done: 0,
  /** Something is not as it should be: a finding, a wrong answer, an operation that failed. */
  failed: 1,
  /** The command was called in a way that cannot work. */
  usage: 2,
} as const

/** Ends a command, with one line that says why unless that has been said. */
export class Exit extends Error {
  readonly exitCode: number

  constructor(exitCode: number, message = '') {
    super(message)
    this.exitCode = exitCode
  }
}

export function usage(message: string): Exit {
  return new Exit(exitCodes.usage, message)
}

export function failure(message: string): Exit {
  return new Exit(exitCodes.failed, message)
}

/** An error's message, after its name where that says something. */
export function textOf(error: unknown): string {
  return String(error).replace(/^Error: /, '')
}

type Style = Parameters<typeof styleText>[0]
export type Paint = (style: Style, text: string) => string

/** Colours for people at a terminal who did not decline them. See https://no-color.org. */
export function painter(output: Output, env: Io['env']): Paint {
  const isWanted = output.isTTY === true && (env.NO_COLOR ?? '') === '' && env.TERM !== 'dumb'
  return (style, text) => (isWanted ? styleText(style, text, { validateStream: false }) : text)
}

export function printLine(output: Output, line = ''): void {
  output.write(`${line}\n`)
}

/** JSON leaves some characters as they are that a terminal obeys. */
const obeyed = /[\u007F-\u009F\p{Bidi_Control}\p{Zl}\p{Zp}]/gu

export function printJson(output: Output, value: unknown, indent = 2): void {
  const json = JSON.stringify(value, undefined, indent)
  printLine(
    output,
    json.replace(obeyed, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`),
  )
}

/** Columns as wide as they need to be; the texts may be anybody's. */
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
