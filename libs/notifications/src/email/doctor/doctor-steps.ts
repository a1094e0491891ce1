import { EmailFault, type EmailFaultCode } from '../email-faults.js';
import { smtpFault } from '../transports/smtp-faults.js';

/** What is tried, in this order. */
export const DOCTOR_STEPS = ['dns', 'connect', 'tls', 'auth', 'sender', 'recipient', 'send'] as const;
/** One of {@link DOCTOR_STEPS}. */
export type DoctorStep = (typeof DOCTOR_STEPS)[number];

/** What a step came to. */
export interface StepResult {
  step: DoctorStep;
  ok: boolean;
  detail: string;
  error_code: EmailFaultCode | null;
}

/** What an examination came to; a step that was not reached is not listed. */
export interface Examination {
  valid: boolean;
  steps: StepResult[];
}

/** Longest a single step takes. */
export const STEP_TIMEOUT_MS = 10_000;

/** Work that fails with EMAIL_TIMEOUT when it takes longer. */
export async function within<T>(work: Promise<T>, timeoutMs: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new EmailFault('EMAIL_TIMEOUT')), timeoutMs);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** The record of an examination: steps one after another, until one fails. */
export class StepLog {
  readonly steps: StepResult[] = [];

  constructor(private readonly timeoutMs: number) {}

  /** Tries a step within its time. `blame` may name another step for a failure; a failure ends the examination. */
  async step<T>(
    step: DoctorStep,
    detail: string,
    work: () => Promise<T>,
    blame: (fault: EmailFault, error: unknown) => DoctorStep = () => step,
  ): Promise<T> {
    try {
      const result = await within(work(), this.timeoutMs);
      this.passed(step, detail);
      return result;
    } catch (error) {
      const fault = smtpFault(error);
      const blamed = blame(fault, error);
      // What comes before the step that is to blame went well.
      if (blamed !== step && order(blamed) > order(step)) this.passed(step, detail);
      this.steps.push({ step: blamed, ok: false, detail: fault.message, error_code: fault.code });
      throw new ExaminationEnded();
    }
  }

  /** Notes a step that went well. */
  passed(step: DoctorStep, detail: string): void {
    this.steps.push({ step, ok: true, detail, error_code: null });
  }

  /** Runs the steps; the first that fails is the last. */
  async run(examination: () => Promise<void>): Promise<Examination> {
    try {
      await examination();
    } catch (error) {
      if (!(error instanceof ExaminationEnded)) throw error;
    }
    return { valid: this.steps.every(({ ok }) => ok), steps: this.steps };
  }
}

const order = (step: DoctorStep): number => DOCTOR_STEPS.indexOf(step);

class ExaminationEnded extends Error {}
