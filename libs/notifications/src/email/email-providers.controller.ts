import { Body, Controller, Delete, Get, Param, Post, Put, Query } from '@nestjs/common';
import { ApiParam, ApiTags } from '@nestjs/swagger';
import { Returns, ReturnsNothing, ReturnsPage, type Page } from '#libs/common';
import { Caller, ClientScopes, type Principal } from '#libs/security';
import {
  EmailProviderDto,
  EmailProviderListQueryDto,
  EmailProviderPutDto,
  EmailProviderValidateDto,
  EmailProviderValidationDto,
} from './email-provider.dto.js';
import { EmailProviderValidationService } from './email-provider-validation.service.js';
import { PROVIDER_TYPES } from './provider-configs.js';
import { EmailProvidersService } from './email-providers.service.js';

/** Who sends the client's mail. */
@ApiTags('Email providers')
@Controller('clients/email-providers')
export class EmailProvidersController {
  constructor(
    private readonly providers: EmailProvidersService,
    private readonly validation: EmailProviderValidationService,
  ) {}

  /** Set the email provider of a type; what was set before is replaced whole. */
  @Put()
  @ClientScopes('providers:write')
  @Returns(EmailProviderDto)
  put(@Caller() caller: Principal, @Body() body: EmailProviderPutDto): Promise<EmailProviderDto> {
    return this.providers.put(caller, body);
  }

  /** List the email providers, secrets by their last four characters. */
  @Get()
  @ClientScopes('providers:write')
  @ReturnsPage(EmailProviderDto)
  list(@Caller() caller: Principal, @Query() query: EmailProviderListQueryDto): Promise<Page<EmailProviderDto>> {
    return this.providers.list(caller, query);
  }

  /** Try an email provider step by step: the one in the body, which is not stored, or without one all that are. */
  @Post('validate')
  @ClientScopes('providers:write')
  @Returns(EmailProviderValidationDto, { bodyOptional: true })
  validate(@Caller() caller: Principal, @Body() body: EmailProviderValidateDto): Promise<EmailProviderValidationDto> {
    return this.validation.validate(caller, body);
  }

  /** Remove the email provider of a type with its secrets. */
  @Delete(':provider_type')
  @ApiParam({
    name: 'provider_type',
    description: 'Kind of provider.',
    schema: { type: 'string', enum: [...PROVIDER_TYPES] },
  })
  @ClientScopes('providers:write')
  @ReturnsNothing()
  remove(@Caller() caller: Principal, @Param('provider_type') providerType: string): Promise<void> {
    return this.providers.remove(caller, providerType);
  }
}
