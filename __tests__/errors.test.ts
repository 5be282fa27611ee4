import { runInNewContext } from 'node:vm'
import { problemAnswer } from '../lib/answer.js'
import type * as Errors from '../lib/errors.js'
import { ConversionWebhookError, isConversionWebhookError } from '../lib/index.js'

describe('isConversionWebhookError', () => {
  test('knows an error of this copy, and one of a subclass', () => {
    class Special extends ConversionWebhookError {}
    expect(isConversionWebhookError(new ConversionWebhookError('ERR_CONVERSION_PATH_UNKNOWN'))).toBe(true)
    expect(isConversionWebhookError(new Special('ERR_CONVERSION_PATH_UNKNOWN'))).toBe(true)
  })

  test('knows an error of another copy of the package', () => {
    jest.isolateModules(() => {
      const other = jest.requireActual<typeof Errors>('../lib/errors.js')
      const error = new other.ConversionWebhookError('ERR_CONVERSION_PATH_UNKNOWN')
      expect(error).not.toBeInstanceOf(ConversionWebhookError)
      expect(isConversionWebhookError(error)).toBe(true)
    })
  })

  /** An error as a later version of the package, in a realm of its own, may make it. */
  const later = runInNewContext(`
    class Later extends Error { name = 'LaterError'; code = 'ERR_CONVERSION_OF_TOMORROW'; status = 418 }
    Object.defineProperty(Later.prototype, Symbol.for('conversion-webhook.error'), { value: true })
    new Later('another text')
  `) as unknown

  test('knows an error of a later version, by neither its name nor its code', () => {
    expect(isConversionWebhookError(later)).toBe(true)
  })

  test('takes nothing else for one, whatever it calls itself', () => {
    const lookalike = Object.assign(new Error('no'), {
      name: 'ConversionWebhookError',
      code: 'ERR_CONVERSION_PATH_UNKNOWN',
    })
    for (const value of [lookalike, new Error('no'), {}, null, undefined, 'ERR_CONVERSION_PATH_UNKNOWN']) {
      expect(isConversionWebhookError(value)).toBe(false)
    }
  })

  test('an error of a later version is answered, though its code is in no table here', () => {
    if (!isConversionWebhookError(later)) throw new Error('it is one')
    const { status, body = '' } = problemAnswer(later)
    expect([status, JSON.parse(body)]).toEqual([
      418,
      {
        type: 'urn:conversion-webhook:ERR_CONVERSION_OF_TOMORROW',
        status: 418,
        title: 'ERR_CONVERSION_OF_TOMORROW',
        code: 'ERR_CONVERSION_OF_TOMORROW',
      },
    ])
  })

  test('the brand shows in no print of an error', () => {
    expect(Object.getOwnPropertySymbols(new ConversionWebhookError('ERR_CONVERSION_PATH_UNKNOWN'))).toEqual([])
  })
})

describe('the message of a code', () => {
  test('is made of named values, which the types ask for', () => {
    const values = { name: 'secrets', near: 'secret' }
    const { message } = new ConversionWebhookError('ERR_CONVERSION_OPTION_UNKNOWN', { values })
    expect(message).toBe('There is no option secrets; did you mean secret?')
    // @ts-expect-error values of another code
    expect(new ConversionWebhookError('ERR_CONVERSION_QUERY_INVALID', { values }).status).toBeUndefined()
    // @ts-expect-error a sentence instead of values
    expect(new ConversionWebhookError('ERR_CONVERSION_PATH_UNKNOWN', { message: 'Not here' }).message).toBe('Not found')
  })

  test('is the title where the values are missing, or there is nothing more to say', () => {
    // @ts-expect-error the values are missing
    expect(new ConversionWebhookError('ERR_CONVERSION_OPTION_UNKNOWN').message).toBe('No option has this name')
    expect(new ConversionWebhookError('ERR_CONVERSION_PATH_UNKNOWN').message).toBe('Not found')
  })
})
