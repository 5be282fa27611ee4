import { Command, CommanderError } from 'commander'
import { isConversionWebhookError } from 'conversion-webhook'
import { printable } from '../util/printable.js'
import { doctorCommand } from './doctor.js'
import { inboxCommand } from './inbox.js'
import { Exit, exitCodes, failure, print, textOf, type Io } from './io.js'
import { listenCommand } from './listen.js'
import { sendCommand } from './send.js'
import { urlCommand } from './url.js'

const about = `Tools for a webhook that receives referral conversions.
Help for one command: conversion-webhook <command> --help`

const codes = `
Exit codes:
  0    done
  1    a check failed, an answer was wrong, or an operation failed
  2    the arguments are wrong; one line says why
  130  ended by a second Ctrl-C; the first one ends in order`

/** The program with its commands. @internal */
export function createProgram(io: Io): Command {
  const program = new Command('conversion-webhook').description(about).addHelpText('after', codes)
  for (const make of [listenCommand, sendCommand, urlCommand, doctorCommand, inboxCommand]) {
    program.addCommand(make(io))
  }
  return program.helpCommand(false)
}

/** A command and all commands under it. @internal */
export function allCommands(command: Command): readonly Command[] {
  return [command, ...command.commands.flatMap((sub) => allCommands(sub))]
}

/** Runs a command line, given without the program's name. Resolves with the exit code and never rejects. */
export async function run(argv: readonly string[], io: Io): Promise<number> {
  const program = createProgram(io)
  for (const command of allCommands(program)) {
    command.exitOverride().configureOutput({
      writeOut: (text) => io.out.write(text),
      writeErr: (text) => io.err.write(text),
      outputError: (text, write) => {
        const line = text.replace(/^error: /, '').replaceAll('\n', ' ')
        write(`conversion-webhook: ${line.trim()}\n`)
      },
      getOutHelpWidth: () => 100,
      getErrHelpWidth: () => 100,
    })
  }
  try {
    await program.parseAsync(argv, { from: 'user' })
    return exitCodes.done
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.done : exitCodes.usage
    const { exitCode, message } = error instanceof Exit ? error : failure(messageOf(error))
    if (message !== '') print(io.err, `conversion-webhook: ${printable(message)}`)
    return exitCode
  }
}

function messageOf(error: unknown): string {
  if (isConversionWebhookError(error)) {
    const { message, code, cause } = error
    // The message of this error is for the senders of callbacks, who wait for a retry.
    const what = code === 'ERR_CONVERSION_INBOX_UNAVAILABLE' ? 'the inbox cannot be used' : message
    return `${what}${cause === undefined ? '' : `: ${textOf(cause)}`} (${code})`
  }
  return textOf(error)
}
