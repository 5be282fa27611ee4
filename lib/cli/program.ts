import { Command, CommanderError } from 'commander'
import { isConversionWebhookError } from 'conversion-webhook'
import { visible } from '../visible.js'
import { doctorCommand } from './doctor.js'
import { inboxCommand } from './inbox.js'
import { Exit, exitCodes, failure, printLine, textOf, type Io } from './io.js'
import { listenCommand } from './listen.js'
import { sendCommand } from './send.js'
import { urlCommand } from './url.js'

const about = `Receives referral conversions: tools for the people around the webhook.
Every command explains itself: conversion-webhook <command> --help`

const codes = `
Exit codes:
  0    done
  1    not as it should be: a finding, a wrong answer, something that failed
  2    called in a way that cannot work
  130  ended by a second Ctrl-C`

/** The command with its sub-commands. @internal */
export function createProgram(io: Io): Command {
  const program = new Command('conversion-webhook').description(about).addHelpText('after', codes)
  for (const make of [listenCommand, sendCommand, urlCommand, doctorCommand, inboxCommand]) {
    program.addCommand(make(io))
  }
  return program.helpCommand(false)
}

/** Every command under one, itself first. @internal */
export function allCommands(command: Command): readonly Command[] {
  return [command, ...command.commands.flatMap((sub) => allCommands(sub))]
}

/** Runs a command line, without the program's name. Resolves with the exit code and never rejects. */
export async function run(argv: readonly string[], io: Io): Promise<number> {
  const program = createProgram(io)
  for (const command of allCommands(program)) {
    command.exitOverride().configureOutput({
      writeOut: (text) => io.out.write(text),
      writeErr: (text) => io.err.write(text),
      outputError: (text, write) => {
        write(
          `conversion-webhook: ${text
            .replace(/^error: /, '')
            .replaceAll('\n', ' ')
            .trim()}\n`,
        )
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
    if (message !== '') printLine(io.err, `conversion-webhook: ${visible(message)}`)
    return exitCode
  }
}

function messageOf(error: unknown): string {
  if (isConversionWebhookError(error)) {
    const { message, code, cause } = error
    // It is thrown wherever an inbox fails, and its words are those for senders.
    const what = code === 'ERR_CONVERSION_INBOX_UNAVAILABLE' ? 'the inbox cannot be used' : message
    return `${what}${cause === undefined ? '' : `: ${textOf(cause)}`} (${code})`
  }
  return textOf(error)
}
