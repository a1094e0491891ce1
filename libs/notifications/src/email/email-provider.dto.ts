import { ApiProperty } from '@nestjs/swagger';
import { Email, Flag, Id, Instant, Line, ListQueryDto, Nullable, OneOf, Optional, Text, Variant } from '#libs/common';
import { DOCTOR_STEPS, type DoctorStep } from './doctor/doctor-steps.js';
import { EMAIL_FAULTS, type EmailFaultCode } from './email-faults.js';
import { CONFIG_CLASSES, type ProviderConfigDto } from './provider-config.dto.js';
import { PROVIDER_TYPES, type ProviderType } from './provider-configs.js';

/** A configured mail provider. */
export class EmailProviderDto {
  /** Identifier. */
  @Id()
  id: string;

  /** Kind of provider; there is one of each at most. */
  @OneOf(PROVIDER_TYPES)
  provider_type: ProviderType;

  /** Its configuration, secrets by their last four characters; null when the server has lost the key it is encrypted with. */
  @Nullable()
  @Variant('provider_type', CONFIG_CLASSES)
  provider_config: ProviderConfigDto | null;

  /** Whether mail to one recipient goes by it. */
  @Flag()
  is_primary: boolean;

  /** Whether mail to two or more recipients goes by it. */
  @Flag({ example: false })
  is_bulk: boolean;

  /** Sender of mail that names none. Only addresses of its domain may be a mail's from_email. */
  @Email()
  default_from_email: string;

  /** Name of the sender of mail that names none. */
  @Nullable()
  @Line(1, 255, { example: 'Acme Support' })
  default_from_name: string | null;

  /** When it was first set. */
  @Instant()
  created_at: string;

  /** When it was last changed. */
  @Instant()
  updated_at: string;
}

/** Sets the one provider of its type. */
export class EmailProviderPutDto {
  /** What is needed to send by it; `provider_type` says which fields there are. */
  @Variant('provider_type', CONFIG_CLASSES)
  provider_config: ProviderConfigDto;

  /** Makes it the one for mail to a single recipient, instead of the one before. Left out: as it is; the first provider is primary. */
  @Optional()
  @Flag()
  is_primary?: boolean;

  /** Makes it the one for mail to two or more recipients, instead of the one before. Left out: as it is. */
  @Optional()
  @Flag({ example: false })
  is_bulk?: boolean;

  /** Sender of mail that names none. Only addresses of its domain may be a mail's from_email. */
  @Email()
  default_from_email: string;

  /** Name of the sender of mail that names none, at most 255 characters. */
  @Optional()
  @Nullable()
  @Line(1, 255, { example: 'Acme Support' })
  default_from_name?: string | null;
}

/** How providers are listed. */
export class EmailProviderListQueryDto extends ListQueryDto {
  /** Sort column. */
  @Optional()
  @OneOf(['created_at'])
  override sort?: string = 'created_at';
}

/** What is examined: the provider given here, of which nothing is stored, or without one the stored providers. */
export class EmailProviderValidateDto {
  /** A provider to examine. Left out: those that are stored. */
  @Optional()
  @Variant('provider_type', CONFIG_CLASSES)
  provider_config?: ProviderConfigDto;

  /** Sender to examine; needed with provider_config. */
  @Optional()
  @Email()
  default_from_email?: string;

  /** Name of the sender. */
  @Optional()
  @Nullable()
  @Line(1, 255, { example: 'Acme Support' })
  default_from_name?: string | null;

  /** Sends one real mail to this address. */
  @Optional()
  @Email()
  test_recipient?: string;
}

/** What one step of an examination came to. */
export class EmailProviderStepDto {
  /** What was tried. */
  @OneOf(DOCTOR_STEPS)
  step: DoctorStep;

  /** Whether it went well. */
  @Flag()
  ok: boolean;

  /** What was found, for people. */
  @Text(0, 500, { example: 'The host resolves to addresses that may be reached' })
  detail: string;

  /** What is wrong, for programs; null when nothing is. */
  @Nullable()
  @OneOf(Object.keys(EMAIL_FAULTS), { example: null })
  error_code: EmailFaultCode | null;
}

/** What the examination of one provider came to. */
export class EmailProviderExaminationDto {
  /** Whether every step went well. */
  @Flag()
  valid: boolean;

  /** The steps in their order; after one that fails there are no more. */
  @ApiProperty({ type: () => [EmailProviderStepDto] })
  steps: EmailProviderStepDto[];
}

/** The examinations by kind of provider. */
export class EmailProviderResultsDto {
  /** The mail server. */
  @ApiProperty({ type: () => EmailProviderExaminationDto, required: false })
  smtp?: EmailProviderExaminationDto;

  /** SendGrid. */
  @ApiProperty({ type: () => EmailProviderExaminationDto, required: false })
  sendgrid?: EmailProviderExaminationDto;

  /** Mailgun. */
  @ApiProperty({ type: () => EmailProviderExaminationDto, required: false })
  mailgun?: EmailProviderExaminationDto;

  /** Postmark. */
  @ApiProperty({ type: () => EmailProviderExaminationDto, required: false })
  postmark?: EmailProviderExaminationDto;

  /** Amazon SES. */
  @ApiProperty({ type: () => EmailProviderExaminationDto, required: false })
  ses?: EmailProviderExaminationDto;

  /** Resend. */
  @ApiProperty({ type: () => EmailProviderExaminationDto, required: false })
  resend?: EmailProviderExaminationDto;
}

/** What an examination came to. */
export class EmailProviderValidationDto {
  /** One entry for each provider that was examined. */
  @ApiProperty({ type: () => EmailProviderResultsDto })
  results: EmailProviderResultsDto;

  /** Whether there was a provider, and each is valid. */
  @Flag()
  all_valid: boolean;
}
