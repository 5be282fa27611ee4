import type { Api, ApiName } from '../api.js'

/** The server answered with an error. */
export class Refusal extends Error {
  readonly status: number

  constructor(status: number, code: string) {
    super(code === '' ? `the server answered ${String(status)}` : code)
    this.status = status
  }
}

/** Asks the server that the page came from. Rejects with a `Refusal` for an error, and with a `TypeError` if the connection fails. */
export async function ask<Name extends ApiName>(name: Name, question: Api[Name]['ask']): Promise<Api[Name]['answer']> {
  const response = await fetch(`api/${name}`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', 'X-Conversion-Inspector': '1' },
    body: JSON.stringify(question),
  })
  const answer: unknown = await response.json().catch(() => ({}))
  if (response.ok) return answer as Api[Name]['answer']
  const { code = '' } = answer as { code?: string }
  throw new Refusal(response.status, code)
}
